"""What training leaves: the model, its card, and what it said about the rows it never saw."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from millrace.contracts.stages import TaskType

if TYPE_CHECKING:
    import numpy as np
    from sklearn.pipeline import Pipeline

FeatureKind = Literal["number", "boolean", "date", "category", "coded category", "text"]
"""`coded category` has too many values for indicator columns and is coded by the target's mean (TargetEncoder); `text`
is free text, read by its words (TF-IDF)."""

Metrics = dict[str, dict[str, float]]
"""train, validation, test, baseline → metric name → value."""


class Feature(BaseModel):
    """A column that the model reads."""

    model_config = ConfigDict(frozen=True)

    name: str
    dtype: str
    kind: FeatureKind
    missing: int
    """Training rows without a value."""


class LeftOut(BaseModel):
    """A column that the model does not read, and why."""

    model_config = ConfigDict(frozen=True)

    name: str
    reason: str


class FamilyResult(BaseModel):
    """The best trial of one estimator family."""

    model_config = ConfigDict(frozen=True)

    family: str
    loss: float | None
    """Validation loss, smaller is better; None when no trial of the family ended within the budget."""
    evaluations: int
    """Fits that were scored; one a fold in cross-validation."""
    config: dict[str, Any]


class Splits(BaseModel):
    """How the rows were divided."""

    model_config = ConfigDict(frozen=True)

    rows: int
    """Rows with a target; rows without one are not used."""
    without_target: int
    train: int
    test: int
    holdout_share: float
    holdout_sha256: str
    """Hash of the positions of the hold-out rows in the table."""
    validation: str
    """How the search scored a trial: `holdout of N rows`, or `5-fold cross-validation`."""


class TimeLedger(BaseModel):
    """Where the time budget went, in seconds."""

    model_config = ConfigDict(frozen=True)

    budget: float
    prepare: float
    search: float
    refit: float
    evaluate: float
    total: float
    refit_on: str
    """`all training rows`, or why the winner of the search was kept as it was."""


class ModelCard(BaseModel):
    """The facts of a model that a reader or an auditor asks for."""

    model_config = ConfigDict(frozen=True)

    target: str
    task_type: TaskType
    positive: str | None
    """Label that binary metrics are about, as text."""
    classes: tuple[str, ...]
    algorithm: str
    """Class name of the winning estimator."""
    family: str
    framework: str
    features: tuple[Feature, ...]
    left_out: tuple[LeftOut, ...]
    splits: Splits
    seed: int
    metric: str
    """What the search minimised."""
    ledger: TimeLedger
    leaderboard: tuple[FamilyResult, ...]
    """One row a family, best first."""
    best_config: dict[str, Any]
    deterministic: bool
    """True when the search was ended by a number of trials rather than by the clock."""
    versions: dict[str, str]

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns that the model reads, in order."""
        return tuple(feature.name for feature in self.features)


@dataclass(frozen=True)
class Training:
    """A trained model. `pipeline` takes raw rows (a DataFrame with the table's columns) and gives original labels."""

    pipeline: "Pipeline"
    card: ModelCard
    metrics: Metrics
    chosen: "np.ndarray[Any, np.dtype[np.int64]]"
    """Positions of the training rows in the frame that was given."""
    learnt: "np.ndarray[Any, np.dtype[np.int64]]"
    """Positions of the rows that the model was fitted on: all that were chosen, unless the budget ended before that."""
    holdout: "np.ndarray[Any, np.dtype[np.int64]]"
    """Positions of the hold-out rows in the frame that was given."""
    y_true: "np.ndarray[Any, Any]"
    """Targets of the hold-out rows."""
    y_pred: "np.ndarray[Any, Any]"
    """Predictions for the hold-out rows."""
    example: dict[str, list[Any]]
    """A few raw training rows, column by column, for the model's input example."""
