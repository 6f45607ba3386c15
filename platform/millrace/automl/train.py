"""Training: split, choose features, search, refit, evaluate."""

import logging
import os
import time
import warnings
from typing import TYPE_CHECKING, Any

from millrace.automl.features import choose_features
from millrace.automl.labels import Target, label_text, positive_label, read_target, with_labels
from millrace.automl.metrics import classification_metrics, regression_metrics
from millrace.automl.plan import TrainingPlan
from millrace.automl.preprocess import build_preprocessor
from millrace.automl.refit import ALL_ROWS, refit
from millrace.automl.result import Metrics, ModelCard, Splits, TimeLedger, Training
from millrace.automl.search import search, spread
from millrace.automl.split import check_rows, positions_sha256, split, with_target
from millrace.contracts.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

logger = logging.getLogger(__name__)

RESERVED_SHARE = 0.12
"""Share of the budget kept back from the search for refit and evaluation."""
RESERVED_SECONDS = 1.0
"""At least this much is kept back, up to RESERVED_MOST of the budget: FLAML's last trial ends up to a second late."""
RESERVED_MOST = 0.3
OVERRUN = 0.05
"""Share by which the whole may exceed the budget; a refit that fits into it is worth it."""
EVALUATION_SECONDS = 0.2
"""Left for the figures after the refit."""
EXAMPLE_ROWS = 3


def train(frame: "pd.DataFrame", plan: TrainingPlan, *, jobs: int | None = None) -> Training:
    """The best model found within the plan's budget, with its figures on rows that the search never saw.

    `jobs` is the number of threads (default: the cores that this process may use).

    Raises:
        BadInput: the target or the positive value is not in the table.
        StageFailed: nothing can be learnt from these rows; names the field and the remedy.
    """
    load_libraries()
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.pipeline import Pipeline

    began = time.perf_counter()
    if plan.target not in frame.columns:
        raise BadInput(
            f"the table has no column {plan.target!r}", field="target", remedy="name one of the table's columns"
        )
    labelled = with_target(frame, plan.target)
    target = read_target(frame[plan.target].iloc[labelled], plan.task_type)
    check_rows(plan.target, len(labelled), _counts(target))
    kept, held = split(target.codes, rows=len(labelled), share=plan.holdout_share, seed=plan.seed)
    rows, unseen = frame.iloc[labelled[kept]], frame.iloc[labelled[held]]
    features, left_out = choose_features(rows, plan.target)
    classes = 0 if target.classes is None else len(target.classes)
    positive = 0
    if target.classes is not None:
        positive = int(np.flatnonzero(target.classes == positive_label(target.classes, plan.positive))[0])
    preprocessor = build_preprocessor(
        features, task_type=plan.task_type, classes=classes, seed=plan.seed, rows=len(rows)
    )
    learnt = target.values if target.codes is None else target.codes
    matrix = np.asarray(preprocessor.fit_transform(rows, learnt[kept]), dtype="float64")
    prepared = time.perf_counter()

    reserved = max(RESERVED_SHARE * plan.time_budget, min(RESERVED_SECONDS, RESERVED_MOST * plan.time_budget))
    with warnings.catch_warnings():
        # a linear model that stops early is a trial like any other: its loss says what it is worth
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = search(
            matrix,
            learnt[kept],
            plan,
            classes=classes,
            positive=positive,
            seconds=max(0.5, plan.time_budget - (prepared - began) - reserved),
            jobs=jobs or _cores(),
        )
        searched = time.perf_counter()
        deadline = None if plan.max_trials else began + plan.time_budget * (1 + OVERRUN) - EVALUATION_SECONDS
        estimator, refit_on = refit(found, matrix, learnt[kept], deadline=deadline)
        refitted = time.perf_counter()

    model = estimator if target.classes is None else with_labels(estimator, target.classes)
    pipeline = Pipeline([("preprocess", preprocessor), ("model", model)])
    metrics: Metrics = {
        "train": _figures(estimator, matrix, learnt[kept], classes, positive),
        "validation": found.validation,
        "test": _figures(estimator, preprocessor.transform(unseen), learnt[held], classes, positive),
        "baseline": _baseline(learnt[kept], learnt[held], classes, positive),
    }
    predicted = pipeline.predict(unseen)
    ended = time.perf_counter()

    ledger = TimeLedger(
        budget=plan.time_budget,
        prepare=round(prepared - began, 3),
        search=round(searched - prepared, 3),
        refit=round(refitted - searched, 3),
        evaluate=round(ended - refitted, 3),
        total=round(ended - began, 3),
        refit_on=refit_on,
    )
    logger.info(
        "model trained family=%s rows=%d seconds=%.1f budget=%g",
        found.family,
        len(rows),
        ledger.total,
        plan.time_budget,
    )
    card = ModelCard(
        target=plan.target,
        task_type=plan.task_type,
        positive=None if target.classes is None else label_text(target.classes[positive]),
        classes=() if target.classes is None else tuple(label_text(label) for label in target.classes),
        algorithm=type(estimator).__name__,
        family=found.family,
        framework=_framework(estimator),
        features=features,
        left_out=left_out,
        splits=Splits(
            rows=len(labelled),
            without_target=len(frame) - len(labelled),
            train=len(kept),
            test=len(held),
            holdout_share=plan.holdout_share,
            holdout_sha256=positions_sha256(labelled[held]),
            validation=found.described,
        ),
        seed=plan.seed,
        metric=found.metric,
        ledger=ledger,
        leaderboard=found.leaderboard,
        best_config=found.config,
        deterministic=plan.max_trials is not None,
        versions=_versions(),
    )
    return Training(
        pipeline=pipeline,
        card=card,
        metrics=metrics,
        chosen=labelled[kept],
        learnt=labelled[kept] if refit_on == ALL_ROWS else labelled[kept[found.fitted]],
        holdout=labelled[held],
        y_true=target.values[held],
        y_pred=np.asarray(predicted),
        example=_example(rows, card),
    )


def load_libraries() -> None:
    """Nothing; afterwards the heavy libraries are imported, so that no import falls into a time budget."""
    import lightgbm  # noqa: F401
    import sklearn.compose
    import sklearn.ensemble
    import sklearn.impute
    import sklearn.linear_model
    import sklearn.metrics
    import sklearn.pipeline
    import sklearn.preprocessing  # noqa: F401
    import xgboost  # noqa: F401

    from millrace.automl.engine import automl_class

    automl_class()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _counts(target: Target) -> dict[str, int] | None:
    import numpy as np

    if target.classes is None or target.codes is None:
        return None
    counts = np.bincount(target.codes, minlength=len(target.classes))
    return {label_text(label): int(count) for label, count in zip(target.classes, counts, strict=True)}


def _figures(
    estimator: Any, matrix: "np.ndarray[Any, Any]", learnt: "np.ndarray[Any, Any]", classes: int, positive: int
) -> dict[str, float]:
    if not classes:
        return regression_metrics(learnt, estimator.predict(matrix))
    probabilities = spread(estimator.predict_proba(matrix), estimator.classes_, classes)
    return classification_metrics(learnt, probabilities, positive=positive)


def _baseline(
    learnt: "np.ndarray[Any, Any]", unseen: "np.ndarray[Any, Any]", classes: int, positive: int
) -> dict[str, float]:
    import numpy as np
    from sklearn.dummy import DummyClassifier, DummyRegressor

    dummy = DummyClassifier(strategy="prior") if classes else DummyRegressor()
    dummy.fit(np.zeros((len(learnt), 1)), learnt)
    return _figures(dummy, np.zeros((len(unseen), 1)), unseen, classes, positive)


def _framework(estimator: Any) -> str:
    module = type(estimator).__module__.partition(".")[0]
    return {"sklearn": "scikit-learn"}.get(module, module)


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    names = ("flaml", "lightgbm", "mlflow", "numpy", "pandas", "scikit-learn", "scipy", "skops")
    return {name: version(name) for name in names} | {"xgboost": _xgboost()}


def _xgboost() -> str:
    # the distribution is called xgboost-cpu or xgboost, the module knows
    import xgboost

    return str(xgboost.__version__)


def _example(rows: "pd.DataFrame", card: ModelCard) -> dict[str, list[Any]]:
    names = list(card.feature_names)
    full = rows[names].dropna()
    few = (full if len(full) >= EXAMPLE_ROWS else rows[names]).head(EXAMPLE_ROWS)
    return {name: few[name].tolist() for name in names}
