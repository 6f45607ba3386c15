"""The search: FLAML on the encoded training matrix, scored on rows of the training part."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from millrace.automl.metrics import classification_metrics, regression_metrics
from millrace.automl.result import FamilyResult
from millrace.automl.split import split
from millrace.contracts.errors import StageFailed

if TYPE_CHECKING:
    import numpy as np

    from millrace.automl.plan import TrainingPlan

    Array = np.ndarray[Any, Any]

FOLDED_ROWS = 3_000
"""Up to this many training rows a trial is scored by cross-validation: one split of so few rows is mostly noise."""
FOLDS = 5
VALIDATION_SHARE = 0.2


@dataclass(frozen=True)
class Found:
    """The winner of a search."""

    estimator: Any
    """Fitted native estimator, on codes 0…k-1 for a classification."""
    fitted: "Array"
    """Positions of the training rows that the estimator saw; without the validation rows where they were held back."""
    fit_seconds: float
    """Seconds that fitting it on all training rows takes, as far as the search can tell."""
    family: str
    metric: str
    validation: dict[str, float]
    described: str
    """How trials were scored."""
    leaderboard: tuple[FamilyResult, ...]
    config: dict[str, Any]


@dataclass
class _Scorer:
    """Loss and metrics of a trial, in the form that FLAML asks of a custom metric."""

    classes: int
    """0 for regression."""
    positive: int
    evaluations: Counter[str] = field(default_factory=Counter)

    @property
    def metric(self) -> str:
        return {0: "1 - R²", 2: "1 - ROC AUC"}.get(self.classes, "log loss")

    def __call__(
        self, rows: "Array", target: "Array", estimator: Any, labels: Any, train: Any, *_: Any
    ) -> tuple[float, dict[str, float]]:
        began = time.perf_counter()
        self.evaluations[type(estimator).__name__] += 1
        figures = self.figures(rows, target, estimator)
        figures["pred_time"] = (time.perf_counter() - began) / len(target)
        return self.loss(figures), figures

    def figures(self, rows: "Array", target: "Array", estimator: Any) -> dict[str, float]:
        if not self.classes:
            return regression_metrics(target, estimator.predict(rows))
        native = getattr(estimator, "estimator", None) or estimator
        found = spread(estimator.predict_proba(rows), native.classes_, self.classes)
        return classification_metrics(target, found, positive=self.positive)

    def loss(self, figures: dict[str, float]) -> float:
        if not self.classes:
            return 1 - figures["r2"]
        return 1 - figures["roc_auc"] if self.classes == 2 and "roc_auc" in figures else figures["log_loss"]


def spread(probabilities: "Array", known: "Array", classes: int) -> "Array":
    """Probabilities with a column for every class; a class that the estimator never saw gets 0."""
    import numpy as np

    if probabilities.shape[1] == classes:
        return probabilities
    full = np.zeros((len(probabilities), classes))
    full[:, known.astype(int)] = probabilities
    return full


def search(
    matrix: "Array", target: "Array", plan: "TrainingPlan", *, classes: int, positive: int, seconds: float, jobs: int
) -> Found:
    """The best estimator that FLAML finds within `seconds`.

    `matrix` and `target` hold training rows only; `classes` is 0 for regression.

    Raises:
        StageFailed: no family fits the task, or no trial ended within the budget.
    """
    import numpy as np

    from millrace.automl.engine import automl_class

    if not plan.searched:
        raise StageFailed(
            f"none of the families {', '.join(plan.families)} can do {plan.task_type}",
            field="families",
            remedy="leave families empty, or name lgbm, rf, extra_tree or xgboost",
        )
    scorer = _Scorer(classes, positive)
    folded = len(target) <= FOLDED_ROWS and (not classes or np.bincount(target).min() >= FOLDS)
    fit = np.arange(len(target))
    if folded:
        rows: dict[str, Any] = {"X_train": matrix, "y_train": target, "eval_method": "cv", "n_splits": FOLDS}
        described = f"{FOLDS}-fold cross-validation"
    else:
        fit, held = split(target if classes else None, rows=len(target), share=VALIDATION_SHARE, seed=plan.seed + 1)
        rows = {
            "X_train": matrix[fit],
            "y_train": target[fit],
            "X_val": matrix[held],
            "y_val": target[held],
            "eval_method": "holdout",
        }
        described = f"holdout of {len(held):,} rows"
    automl = automl_class()()
    automl.fit(
        **rows,
        task="classification" if classes else "regression",
        metric=scorer,
        estimator_list=list(plan.searched),
        time_budget=-1 if plan.max_trials else seconds,
        max_iter=plan.max_trials,
        seed=plan.seed,
        n_jobs=jobs,
        # rare classes would be duplicated across folds, and the split is ours
        auto_augment=False,
        allow_label_overlap=False,
        model_history=False,
        mlflow_logging=False,
        skip_transform=True,
        verbose=0,
    )
    if automl.model is None:
        raise StageFailed(
            f"no model could be trained within {plan.time_budget:g} seconds",
            field="time_budget",
            remedy="give a larger time budget",
        )
    return Found(
        estimator=automl.model.estimator,
        fitted=fit,
        fit_seconds=float(automl.best_config_train_time or 0.0),
        family=automl.best_estimator,
        metric=scorer.metric,
        validation=_validation(automl),
        described=described,
        leaderboard=_leaderboard(automl, plan, scorer),
        config=_plain(automl.best_config),
    )


def _validation(automl: Any) -> dict[str, float]:
    logged = automl.metrics_for_best_config[1] or {}
    return {name: float(value) for name, value in logged.items() if name != "pred_time"}


def _leaderboard(automl: Any, plan: "TrainingPlan", scorer: _Scorer) -> tuple[FamilyResult, ...]:
    import math

    losses = automl.best_loss_per_estimator
    configs = automl.best_config_per_estimator
    results = []
    for family in plan.searched:
        loss = losses.get(family, math.inf)
        name = automl._state.learner_classes[family].__name__
        results.append(
            FamilyResult(
                family=family,
                loss=float(loss) if math.isfinite(loss) else None,
                evaluations=scorer.evaluations[name],
                config=_plain(configs.get(family) or {}),
            )
        )
    return tuple(sorted(results, key=lambda result: math.inf if result.loss is None else result.loss))


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value.item() if hasattr(value, "item") else value for name, value in config.items()}
