"""Event payloads. Readers ignore fields they do not know; writers refuse them.

The six payloads of the upload-to-explanation flow keep its field names, `event_type` values and types, `time_budget`
as a string and `timestamp` without an offset (UTC) included.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, NaiveDatetime, PlainSerializer

from millrace.contracts.identifiers import IDENTIFIER_PATTERN
from millrace.contracts.stages import Level, TaskType

MAX_EVENT_BYTES = 1_000_000
"""Largest payload that is read; below the broker's default message.max.bytes of 1,048,588."""


def _as_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _seed_form(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def _positive_seconds(text: str) -> str:
    # the budget is a string of whole seconds in the payload; a word, a sign or zero is refused here, once
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 86_400):
        raise ValueError('must be whole seconds between 1 and 86400, written as a string such as "60"')
    return text


Identifier = Annotated[str, Field(pattern=IDENTIFIER_PATTERN)]
Timestamp = Annotated[
    AwareDatetime | NaiveDatetime, AfterValidator(_as_utc), PlainSerializer(_seed_form, return_type=str)
]
TimeBudget = Annotated[str, Field(min_length=1, max_length=5), AfterValidator(_positive_seconds)]
ColumnName = Annotated[str, Field(min_length=1, max_length=1024)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def now() -> datetime:
    """The present moment, UTC."""
    return datetime.now(UTC)


class Event(BaseModel):
    """Base of all payloads: tolerant when read, strict when written."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    topic_field: ClassVar[str]
    """Attribute of `Topics` that holds the topic of this payload."""

    timestamp: Timestamp = Field(default_factory=now)
    user_id: Identifier
    dataset_id: Identifier

    @classmethod
    def write(cls, **fields: Any) -> Self:
        """A payload to be sent.

        Raises:
            ValueError: a field that the payload does not have, or a value it does not take.
        """
        unknown = sorted(set(fields) - set(cls.model_fields))
        if unknown:
            raise ValueError(f"{cls.__name__} has no field {', '.join(unknown)}")
        return cls(**fields)

    def to_bytes(self) -> bytes:
        """The payload as UTF-8 JSON."""
        return self.model_dump_json().encode()


class DatasetUploaded(Event):
    """`dataset-events`: a version of a data set is stored."""

    topic_field = "dataset"
    event_type: Literal["dataset.uploaded"] = "dataset.uploaded"
    event_id: str
    name: str
    version: int = Field(ge=1)
    sha256: Sha256
    file_name: str
    format: str
    size_bytes: int = Field(ge=0)
    record_count: int = Field(ge=0)
    column_count: int = Field(ge=0)
    metadata: dict[str, Any] = Field(default_factory=dict)


class BiasTrigger(Event):
    """`bias-trigger-events`: measure bias on the label."""

    topic_field = "bias_trigger"
    event_type: Literal["bias-trigger.reported"] = "bias-trigger.reported"
    target_column_name: ColumnName
    task_type: TaskType
    metadata: dict[str, Any] = Field(default_factory=dict)
    record_count: int = Field(ge=0)


class BiasReported(Event):
    """`bias-events`: a bias report is saved."""

    topic_field = "bias"
    event_type: Literal["bias.reported"] = "bias.reported"
    bias_report_id: str
    has_transformation_report: bool = False
    target_column_name: ColumnName
    task_type: TaskType


class AutomlTrigger(Event):
    """`automl-trigger-events`: train a model."""

    topic_field = "automl_trigger"
    event_type: Literal["automl-trigger.reported"] = "automl-trigger.reported"
    target_column_name: ColumnName
    task_type: TaskType
    time_budget: TimeBudget


class ModelUploaded(Event):
    """`automl-events`: a model is saved. Accuracies are R² for regression."""

    topic_field = "automl"
    event_type: Literal["model.uploaded"] = "model.uploaded"
    event_id: str
    model_id: Identifier
    version: str = Field(pattern=r"^v[1-9][0-9]*$")
    framework: str
    model_type: TaskType
    algorithm: str
    model_size_mb: float = Field(ge=0)
    training_accuracy: float
    validation_accuracy: float
    test_accuracy: float


class XaiTrigger(Event):
    """`xai-trigger-events`: explain a model at one level."""

    topic_field = "xai_trigger"
    event_type: Literal["xai-trigger.reported"] = "xai-trigger.reported"
    model_id: Identifier
    version: str = Field(pattern=r"^v[1-9][0-9]*$")
    level: Level


class XaiReported(Event):
    """`xai-events`: an explanation report is saved."""

    topic_field = "xai"
    event_type: Literal["xai.reported"] = "xai.reported"
    event_id: str
    model_id: Identifier
    report_type: str
    level: Level
    xai_report_id: str


class StageEvent(Event):
    """`stage-events`: a stage started, failed or was cancelled. Its success is told by the report or model event."""

    topic_field = "stage"
    event_type: Literal["stage.started", "stage.failed", "stage.cancelled"]
    event_id: str
    pipeline_id: str
    stage: Literal["bias", "automl", "xai"]
    level: Level | None = None
    attempt: int = Field(ge=1)
    dagster_run_id: str | None = None
    error_class: str | None = None
    error_message: str | None = None
    transient: bool = False


EVENTS: tuple[type[Event], ...] = (
    DatasetUploaded, BiasTrigger, BiasReported, AutomlTrigger, ModelUploaded, XaiTrigger, XaiReported, StageEvent,
)  # fmt: skip
