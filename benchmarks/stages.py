"""Training against its time budget, and the explanation of 10,000 rows by a model of 100 trees.

Both on the bundled loan applications. The training's wall time holds preparation, search, refit and evaluation, without
the libraries' import; the explanation's holds SHAP values, their check against the model, cases and dependence.
"""

import argparse
import time

from _report import report
from lightgbm import LGBMClassifier
from sklearn.pipeline import Pipeline

from millrace.automl.engine import automl_class
from millrace.automl.plan import TrainingPlan
from millrace.automl.train import train
from millrace.examples.loans import generate_loans
from millrace.explain.attribution import import_shap
from millrace.explain.compute import explain

ROWS, TREES, SEED = 10_000, 100, 7
BUDGETS = {"budget_training_ratio": 1.05, "budget_explanation_seconds": 10.0}


def main() -> None:
    """Measures both and leaves results/stages.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--time-budget", type=float, default=60.0, help="seconds for training (default 60)")
    options = parser.parse_args()
    automl_class()
    import_shap()
    frame = generate_loans(ROWS, SEED)
    plan = TrainingPlan(
        target="approved", task_type="classification", positive="yes", time_budget=options.time_budget, seed=SEED
    )
    began = time.perf_counter()
    training = train(frame, plan)
    trained = time.perf_counter() - began

    features = [feature.name for feature in training.card.features]
    preprocess = training.pipeline.named_steps["preprocess"]
    forest = LGBMClassifier(n_estimators=TREES, random_state=SEED, verbose=-1)
    forest.fit(preprocess.transform(frame[features]), frame["approved"])
    began = time.perf_counter()
    told = explain(
        Pipeline([("preprocess", preprocess), ("model", forest)]), frame,
        target="approved", task_type="classification", positive="yes", features=features, seed=SEED, max_rows=ROWS,
    )  # fmt: skip
    explained = time.perf_counter() - began
    figures = {
        "rows": ROWS,
        "training_budget_seconds": options.time_budget,
        "training_seconds": round(trained, 2),
        "training_ratio": round(trained / options.time_budget, 3),
        "trees": TREES,
        "explained_rows": told.sample.explained_rows,
        "explanation_seconds": round(explained, 2),
        **BUDGETS,
    }
    report("stages", figures, seed=SEED, command=f"python benchmarks/stages.py --time-budget {options.time_budget:g}")


if __name__ == "__main__":
    main()
