"""The one computed result that all three pages show."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from millrace.contracts.canonical import sha256_json
from millrace.contracts.stages import TaskType

Method = Literal["tree", "linear", "permutation"]
OutputSpace = Literal["log-odds", "probability", "value"]
Direction = Literal["raises", "lowers", "mixed"]
CaseKind = Literal["typical", "borderline", "wrong", "confident", "extreme"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class FeatureEffect(_Frozen):
    """What one column does to the model's output, over the explained rows."""

    name: str
    kind: Literal["number", "category", "date"]
    importance: float
    """Mean absolute SHAP value; for more than two classes the mean over classes."""
    standard_error: float
    """Of the importance, from the rows explained."""
    share: float
    """Part of the sum of all importances."""
    direction: Direction
    """What larger values do to the explained output; categories are always `mixed`."""
    correlation: float | None
    """Spearman correlation of value and SHAP value; None for categories and where it is not defined."""
    missing: int
    """Explained rows without a value."""


class Bin(_Frozen):
    """Rows with nearby values of a column."""

    label: str
    low: float | None
    high: float | None
    count: int
    effect: float
    """Mean SHAP value."""
    standard_error: float
    prediction: float
    """Mean predicted probability of the explained class, or mean predicted value."""


class Dependence(_Frozen):
    """How the effect of a column changes with its value."""

    name: str
    kind: Literal["number", "category", "date"]
    bins: tuple[Bin, ...]


class Contribution(_Frozen):
    """What a row's value in one column added to its output."""

    name: str
    value: str
    effect: float


class Case(_Frozen):
    """One row explained."""

    kind: CaseKind
    position: int
    """Of the row in the table."""
    predicted: str
    """Predicted label, or value."""
    actual: str | None
    probability: float | None
    """Of the explained class; None for regression."""
    explained_class: str | None
    base: float
    output: float
    contributions: tuple[Contribution, ...]
    """Every column, largest effect first."""


class ClassImportance(_Frozen):
    """Mean absolute SHAP values for one class of several."""

    label: str
    importance: dict[str, float]


class Sample(_Frozen):
    """Which rows were explained, against what."""

    table_rows: int
    explained_rows: int
    background: str
    background_rows: int
    seed: int
    cases_from: str


class Additivity(_Frozen):
    """Base value plus SHAP values against the model's output, row by row."""

    residual: float
    """No row is further off than this; rounded up to a power of ten."""
    tolerance: float
    rows: int


class Explanation(_Frozen):
    """SHAP values of a model, summarised. Holds no time and no run id: the same model, rows and seed give the same."""

    schema_version: Literal[1] = 1
    target: str
    task_type: TaskType
    classes: tuple[str, ...]
    explained_class: str | None
    algorithm: str
    method: Method
    output_space: OutputSpace
    base_value: float
    mean_prediction: float
    """Mean predicted probability of the explained class, or mean predicted value, over the explained rows."""
    sample: Sample
    additivity: Additivity
    features: tuple[FeatureEffect, ...]
    """Most important first."""
    dependence: tuple[Dependence, ...]
    cases: tuple[Case, ...]
    class_importance: tuple[ClassImportance, ...]
    """For more than two classes only."""
    metrics: dict[str, dict[str, float]]
    """Figures of the model as training recorded them: train, validation, test, baseline."""
    versions: dict[str, str]

    def document(self) -> dict[str, Any]:
        """The explanation as JSON."""
        return self.model_dump(mode="json")

    @property
    def report_hash(self) -> str:
        """SHA-256 of the document."""
        return sha256_json(self.document())

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> "Explanation":
        """The explanation behind a document.

        Raises:
            pydantic.ValidationError: the document is not one of ours.
        """
        return cls.model_validate(document)
