"""Every mitigation on the bundled loans, before and after, against the reference implementation in the same run.

Reference: AIF360 for reweighing, fairlearn for the others, each as its documentation uses it (the exponentiated
gradient with its 50 rounds, the threshold optimiser on the scores of the rows that it was fitted on). All train the
same classifier on the same rows and are judged on the same hold-out; gaps and accuracies are means over several
divisions of the rows, seconds medians.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from _report import report
from aif360.sklearn.preprocessing import Reweighing
from fairlearn.metrics import demographic_parity_difference
from fairlearn.postprocessing import ThresholdOptimizer
from fairlearn.preprocessing import CorrelationRemover
from fairlearn.reductions import DemographicParity, ExponentiatedGradient

from millrace.automl.encode import encode_fresh
from millrace.bias.mitigation.correlation import removal_matrix
from millrace.bias.mitigation.methods import SLACK, answer, untreated
from millrace.bias.mitigation.names import METHODS
from millrace.bias.mitigation.problem import OTHERS, Problem
from millrace.bias.mitigation.report import mitigate
from millrace.bias.mitigation.reweighing import weights
from millrace.bias.mitigation.setup import hold_out, set_up
from millrace.bias.policy import shipped_policy
from millrace.contracts.task import Answers
from millrace.examples.loans import POSITIVE, SENSITIVE, TARGET, generate_loans

SEED = 7
ROWS = 5_000
ANSWERS = Answers(target=TARGET, task_type="classification", positive=POSITIVE, sensitive=SENSITIVE)
ATTRIBUTE = "sex"
SAME = 1e-9
"""What the closed forms may differ by from the references."""


def main() -> None:
    """Measures and leaves results/mitigation.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="divisions of the rows (default 5)")
    options = parser.parse_args()
    frame = generate_loans(ROWS, SEED)
    rounds = [_round(frame, seed) for seed in range(SEED, SEED + options.rounds)]
    figures: dict[str, Any] = {
        "rows": ROWS,
        "rounds": options.rounds,
        "untreated": {
            "gap_points": _mean(rounds, "untreated", "gap"),
            "accuracy_percent": _mean(rounds, "untreated", "accuracy"),
        },
        "closed_forms_differ_by": max(one["differ"] for one in rounds),
    }
    for method in METHODS:
        seconds = _median(rounds, method, "seconds")
        figures[method.replace("-", "_")] = {
            "gap_points": _mean(rounds, method, "gap"),
            "reference_gap_points": _mean(rounds, method, "reference_gap"),
            "accuracy_percent": _mean(rounds, method, "accuracy"),
            "seconds": round(seconds, 2),
            "reference_takes_ratio": round(_median(rounds, method, "reference_seconds") / seconds, 2),
        }
    figures["report_of_all_methods_seconds"] = round(statistics.median(one["report_seconds"] for one in rounds), 1)
    report("mitigation", figures, seed=SEED, command="python benchmarks/mitigation.py")


def _round(frame: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Every method on one division of the rows: gaps and accuracies as shares, seconds of ours and of the reference."""
    encoded = encode_fresh(frame, TARGET, seed=seed)
    how: dict[str, Any] = {"answers": ANSWERS, "policy": shipped_policy(), "seed": seed}
    problem = set_up(frame, encoded, attributes=(ATTRIBUTE,), constraint="demographic-parity", **how)
    holdout = hold_out(frame, encoded, **how)
    differ = max(_weights_differ(problem), _columns_differ(problem))
    if differ > SAME:
        raise SystemExit(f"the closed forms differ from the references by {differ}")
    found: dict[str, Any] = {"differ": float(f"{differ:.1g}"), "untreated": _judged(problem, untreated(problem).said)}
    for method in METHODS:
        ours, seconds = _timed(lambda method=method: answer(method, problem).said)
        theirs, reference_seconds = _timed(lambda method=method: _REFERENCES[method](problem))
        found[method] = {
            **_judged(problem, ours),
            "reference_gap": _judged(problem, theirs)["gap"],
            "seconds": seconds,
            "reference_seconds": reference_seconds,
        }
    found["report_seconds"] = _timed(lambda: mitigate(METHODS, problem, holdout, attribute=ATTRIBUTE))[1]
    return found


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    result = work()
    return result, time.perf_counter() - began


def _judged(problem: Problem, said: np.ndarray) -> dict[str, float]:
    """Difference of selection rates between the groups that a report compares, and accuracy, on the hold-out."""
    named = np.array([name != OTHERS for name in problem.groups])[problem.test.group]
    label, group = problem.test.label, problem.test.group
    gap = demographic_parity_difference(label[named], said[named], sensitive_features=group[named])
    return {"gap": float(gap), "accuracy": float((said == label).mean())}


def _mean(rounds: list[dict[str, Any]], method: str, figure: str) -> float:
    """In points."""
    return round(statistics.mean(one[method][figure] for one in rounds) * 100, 1)


def _median(rounds: list[dict[str, Any]], method: str, figure: str) -> float:
    return statistics.median(one[method][figure] for one in rounds)


def _weights_differ(problem: Problem) -> float:
    ours = weights(problem.train.group, problem.train.label)
    return float(np.abs(ours - _reference_weights(problem)).max())


def _columns_differ(problem: Problem) -> float:
    """Of the columns less their means: fairlearn's have another constant."""
    ours = problem.train.matrix @ removal_matrix(problem.train.matrix, problem.sensitive_columns)
    theirs = _reference_remover(problem).transform(problem.train.matrix)
    return float(np.abs((ours - ours.mean(axis=0)) - (theirs - theirs.mean(axis=0))).max())


def _reference_weights(problem: Problem) -> np.ndarray:
    place = pd.Index(problem.train.group, name=ATTRIBUTE)
    label = pd.Series(problem.train.label, index=place, name=TARGET)
    found: np.ndarray = Reweighing(prot_attr=ATTRIBUTE).fit_transform(pd.DataFrame({"x": 0.0}, index=place), label)[1]
    return found


def _reference_remover(problem: Problem) -> CorrelationRemover:
    return CorrelationRemover(sensitive_feature_ids=list(problem.sensitive_columns)).fit(problem.train.matrix)


def _reweighed(problem: Problem) -> np.ndarray:
    fitted = problem.make().fit(problem.train.matrix, problem.train.label, sample_weight=_reference_weights(problem))
    said: np.ndarray = fitted.predict(problem.test.matrix)
    return said


def _decorrelated(problem: Problem) -> np.ndarray:
    remover = _reference_remover(problem)
    fitted = problem.make().fit(remover.transform(problem.train.matrix), problem.train.label)
    said: np.ndarray = fitted.predict(remover.transform(problem.test.matrix))
    return said


def _reduced(problem: Problem) -> np.ndarray:
    gradient = ExponentiatedGradient(problem.make(), constraints=DemographicParity(difference_bound=SLACK))
    gradient.fit(problem.train.matrix, problem.train.label, sensitive_features=problem.train.group)
    said: np.ndarray = gradient.predict(problem.test.matrix, random_state=SEED)
    return said


def _thresholded(problem: Problem) -> np.ndarray:
    optimizer = ThresholdOptimizer(estimator=problem.make(), predict_method="predict_proba")
    optimizer.fit(problem.train.matrix, problem.train.label, sensitive_features=problem.train.group)
    said: np.ndarray = optimizer.predict(problem.test.matrix, sensitive_features=problem.test.group, random_state=SEED)
    return said


_REFERENCES: dict[str, Callable[[Problem], np.ndarray]] = {
    "reweighing": _reweighed,
    "correlation-remover": _decorrelated,
    "exponentiated-gradient": _reduced,
    "threshold-optimizer": _thresholded,
}


if __name__ == "__main__":
    # about names of columns that the matrices never have, and of rounds that end before convergence
    warnings.simplefilter("ignore")
    main()
