"""Tables of the metadata database. Alembic's migrations must give exactly these (a test compares them).

Above 300 lines because one look must take in every table and what refers to it.
"""

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy import DateTime as SqlDateTime
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite forgets the offset, so it is put back when read."""

    impl = SqlDateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The moment in UTC; refuses one without an offset."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without an offset cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The moment with its offset."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# SQLite counts rows by itself only in an INTEGER primary key
_RowId = BigInteger().with_variant(Integer, "sqlite")


class Table(DeclarativeBase):
    """Base of the tables."""

    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime(),
        dict[str, Any]: JSON(),
        list[Any]: JSON(),
        str: String(),
    }


class Dataset(Table):
    """A data set: an id owned by a user."""

    __tablename__ = "datasets"
    user_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    dataset_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class DatasetVersion(Table):
    """One version of a data set: the bytes as they came (`sha256`) and the typed table read from them."""

    __tablename__ = "dataset_versions"
    __table_args__ = (
        ForeignKeyConstraint(["user_id", "dataset_id"], ["datasets.user_id", "datasets.dataset_id"]),
        UniqueConstraint("user_id", "dataset_id", "version"),
        UniqueConstraint("user_id", "dataset_id", "sha256"),
    )
    id: Mapped[int] = mapped_column(_RowId, primary_key=True, autoincrement=True)
    user_id: Mapped[str] = mapped_column(String(64))
    dataset_id: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    table_sha256: Mapped[str] = mapped_column(String(64))
    """Artifact with the same rows as typed Parquet; what every stage reads."""
    file_name: Mapped[str] = mapped_column(Text)
    format: Mapped[str] = mapped_column(String(16))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    record_count: Mapped[int] = mapped_column(BigInteger)
    column_count: Mapped[int]
    profile: Mapped[dict[str, Any]]
    """`warehouse.profile.Profile` as JSON."""
    meta: Mapped[dict[str, Any]]
    """Sniffed encoding, delimiter and compression; what the payload carries as `metadata`."""
    created_at: Mapped[datetime]


class UserPolicy(Table):
    """What a user wants of the conductor unless a pipeline says otherwise."""

    __tablename__ = "user_policies"
    user_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    settings: Mapped[dict[str, Any]]
    """`conductor.plan.PipelineSettings` as JSON, unset fields left out."""
    updated_at: Mapped[datetime]


class Pipeline(Table):
    """One data-set version on its way through the stages."""

    __tablename__ = "pipelines"
    __table_args__ = (
        ForeignKeyConstraint(["user_id", "dataset_id"], ["datasets.user_id", "datasets.dataset_id"]),
        Index(None, "user_id", "dataset_id"),
        Index(None, "state"),
    )
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    cause_event_id: Mapped[str] = mapped_column(String(128), unique=True)
    """Event (or request) that created it; a second one with the same id changes nothing."""
    user_id: Mapped[str] = mapped_column(String(64))
    dataset_id: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(32))
    stage: Mapped[str | None] = mapped_column(String(16))
    """The stage that the state is about (running, waiting for approval, retrying, failed)."""
    settings: Mapped[dict[str, Any]]
    proposals: Mapped[dict[str, Any]]
    answers: Mapped[dict[str, Any] | None]
    approvals: Mapped[dict[str, Any]]
    """Stage → the content hash that the approval is bound to."""
    error: Mapped[dict[str, Any] | None]
    retry_at: Mapped[datetime | None]
    """When a retrying pipeline sends its trigger again."""
    ending_runs: Mapped[bool]
    """True while runs of a cancelled, rejected or superseded pipeline may still live."""
    superseded_by: Mapped[str | None] = mapped_column(String(40))
    trace_id: Mapped[str] = mapped_column(String(32))
    revision: Mapped[int]
    """Counts the transitions; equals the last history entry's `seq`."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class History(Table):
    """One transition of a pipeline. Rows are only ever added: triggers refuse update and delete."""

    __tablename__ = "history"
    __table_args__ = (UniqueConstraint("pipeline_id", "seq"),)
    id: Mapped[int] = mapped_column(_RowId, primary_key=True, autoincrement=True)
    pipeline_id: Mapped[str] = mapped_column(ForeignKey("pipelines.id"))
    seq: Mapped[int]
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(Text)
    """A user (`user:ada`) or a part (`conductor`)."""
    cause: Mapped[str] = mapped_column(Text)
    """What it followed from, such as `event:<id>` or `request:approve`."""
    from_state: Mapped[str | None] = mapped_column(String(32))
    to_state: Mapped[str] = mapped_column(String(32))
    stage: Mapped[str | None] = mapped_column(String(16))
    message: Mapped[str] = mapped_column(Text)
    seen_sha256: Mapped[str | None] = mapped_column(String(64))
    """Content hash of what was seen when it was decided."""
    detail: Mapped[dict[str, Any]]


class StageAttempt(Table):
    """One try at a stage of a pipeline. A run claims it first; every save is fenced by it."""

    __tablename__ = "stage_attempts"
    __table_args__ = (UniqueConstraint("pipeline_id", "stage", "level", "attempt"),)
    id: Mapped[int] = mapped_column(_RowId, primary_key=True, autoincrement=True)
    pipeline_id: Mapped[str] = mapped_column(ForeignKey("pipelines.id"))
    stage: Mapped[str] = mapped_column(String(16))
    level: Mapped[str] = mapped_column(String(16))
    """Level of an xai attempt; empty for the other stages (NULLs would not be unique)."""
    attempt: Mapped[int]
    state: Mapped[str] = mapped_column(String(16))
    """requested → claimed → done | failed; or cancelled from requested and claimed."""
    trigger_event_id: Mapped[str] = mapped_column(String(128), unique=True)
    dagster_run_id: Mapped[str | None] = mapped_column(String(64))
    """Run that claimed it; `external:<user>` for an outside worker."""
    trigger: Mapped[dict[str, Any] | None]
    """topic, topic_id, partition and offset of the trigger, and the `process` that claimed it, once claimed."""
    error: Mapped[dict[str, Any] | None]
    requested_at: Mapped[datetime]
    claimed_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class Artifact(Table):
    """Bytes in the artifact store, by content."""

    __tablename__ = "artifacts"
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str] = mapped_column(String(128))
    created_at: Mapped[datetime]


class Report(Table):
    """What a stage left for people: a page (HTML) and its machine-readable twin (JSON)."""

    __tablename__ = "reports"
    __table_args__ = (
        ForeignKeyConstraint(["user_id", "dataset_id"], ["datasets.user_id", "datasets.dataset_id"]),
        Index(None, "user_id", "dataset_id", "kind"),
    )
    report_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(String(24))
    """quality, bias, model_bias, mitigation, explanation (no page) or xai."""
    user_id: Mapped[str] = mapped_column(String(64))
    dataset_id: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    """Version of the data set."""
    model_version: Mapped[int | None]
    level: Mapped[str | None] = mapped_column(String(16))
    html_sha256: Mapped[str | None] = mapped_column(String(64))
    json_sha256: Mapped[str] = mapped_column(String(64))
    report_hash: Mapped[str] = mapped_column(String(64))
    """Hash of the part that has no times and no run ids: same inputs, code and parameters give the same."""
    summary: Mapped[dict[str, Any]]
    pipeline_id: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime]


class Model(Table):
    """A model in the MLflow registry, as the warehouse knows it."""

    __tablename__ = "models"
    __table_args__ = (
        ForeignKeyConstraint(["user_id", "dataset_id"], ["datasets.user_id", "datasets.dataset_id"]),
        UniqueConstraint("user_id", "dataset_id", "version"),
    )
    id: Mapped[int] = mapped_column(_RowId, primary_key=True, autoincrement=True)
    user_id: Mapped[str] = mapped_column(String(64))
    dataset_id: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    dataset_version: Mapped[int]
    registered_name: Mapped[str] = mapped_column(String(160))
    mlflow_run_id: Mapped[str] = mapped_column(String(64))
    model_uri: Mapped[str] = mapped_column(Text)
    tree_sha256: Mapped[str] = mapped_column(String(64))
    """`sha256_tree` of the model's files as MLflow serves them."""
    framework: Mapped[str] = mapped_column(String(32))
    task_type: Mapped[str] = mapped_column(String(16))
    algorithm: Mapped[str] = mapped_column(String(64))
    target_column: Mapped[str] = mapped_column(Text)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    metrics: Mapped[dict[str, Any]]
    """train, validation, test and baseline: metric name → value."""
    details: Mapped[dict[str, Any]]
    """`automl.result.ModelCard` as JSON: classes, features, split, seed, budget and what was tried."""
    pipeline_id: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime]


class ScoringModel(Table):
    """A model that a stream was told to score with, as it is pinned and as MLflow has it."""

    __tablename__ = "scoring_models"
    __table_args__ = (UniqueConstraint("stream", "version"),)
    id: Mapped[int] = mapped_column(_RowId, primary_key=True, autoincrement=True)
    stream: Mapped[str] = mapped_column(String(64))
    """Also the name under which MLflow has it."""
    version: Mapped[int]
    kind: Mapped[str] = mapped_column(String(24))
    """vader, transformer or registered."""
    source: Mapped[str] = mapped_column(Text)
    """What was asked for: `vader`, a hub id, a folder, `models:/user.dataset/3`."""
    model_version: Mapped[str] = mapped_column(Text)
    """What its outputs name as theirs."""
    mlflow_run_id: Mapped[str] = mapped_column(String(64))
    tree_sha256: Mapped[str] = mapped_column(String(64))
    """`sha256_tree` of its files as MLflow serves them."""
    choice_sha256: Mapped[str] = mapped_column(String(64))
    """Artifact: canonical JSON of what is pinned, with the figures of all candidates."""
    chosen_by: Mapped[str] = mapped_column(String(160))
    created_at: Mapped[datetime]


class Statement(Table):
    """One materialisation: hashes in, hashes out, and what made the one from the other."""

    __tablename__ = "statements"
    __table_args__ = (Index(None, "user_id", "dataset_id"), UniqueConstraint("statement_sha256"))
    id: Mapped[int] = mapped_column(_RowId, primary_key=True, autoincrement=True)
    asset: Mapped[str] = mapped_column(String(64))
    """Asset key with '/', such as `xai_report/expert`."""
    user_id: Mapped[str] = mapped_column(String(64))
    dataset_id: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    inputs: Mapped[list[Any]]
    """[{ref, sha256, kind}], kind `artifact` or `model`; ref as `lineage show` takes it."""
    outputs: Mapped[list[Any]]
    """[{ref, sha256, kind}]."""
    parameters: Mapped[dict[str, Any]]
    seed: Mapped[int | None]
    rows_in: Mapped[int | None] = mapped_column(BigInteger)
    rows_out: Mapped[int | None] = mapped_column(BigInteger)
    seconds: Mapped[float]
    code_version: Mapped[str] = mapped_column(String(80))
    approval: Mapped[str] = mapped_column(String(80))
    """`pipeline:<id>`, or `none` for a stage launched by hand."""
    trigger: Mapped[dict[str, Any] | None]
    dagster_run_id: Mapped[str | None] = mapped_column(String(64))
    pipeline_id: Mapped[str | None] = mapped_column(String(40))
    attempt: Mapped[int | None]
    created_at: Mapped[datetime]
    statement_sha256: Mapped[str] = mapped_column(String(64))
    """Hash of all columns above in canonical JSON."""


class Outbox(Table):
    """An event to be sent: written with the fact it reports, sent by the relay, in order per key."""

    __tablename__ = "outbox"
    __table_args__ = (Index("ix_outbox_unsent", "sent_at", "id"),)
    id: Mapped[int] = mapped_column(_RowId, primary_key=True, autoincrement=True)
    event_id: Mapped[str] = mapped_column(String(128), unique=True)
    topic: Mapped[str] = mapped_column(String(249))
    key: Mapped[str] = mapped_column(String(160))
    value: Mapped[bytes] = mapped_column(LargeBinary)
    headers: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    sent_to: Mapped[dict[str, Any] | None]
    """partition and offset that the broker gave."""


class Consumed(Table):
    """An event that a consumer of ours has acted on, recorded in the transaction of its effect."""

    __tablename__ = "consumed"
    consumer: Mapped[str] = mapped_column(String(64), primary_key=True)
    event_id: Mapped[str] = mapped_column(String(160), primary_key=True)
    topic: Mapped[str] = mapped_column(String(249))
    topic_id: Mapped[str] = mapped_column(String(40))
    partition: Mapped[int]
    offset: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]


class Webhook(Table):
    """An address that is told what a person's pipelines wait for."""

    __tablename__ = "webhooks"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(64))
    url: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class Stream(Table):
    """A long-running job: how many of its processes are wanted, and why it is halted where it is."""

    __tablename__ = "streams"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    wanted: Mapped[int]
    epoch: Mapped[int]
    """Raised by every start and restart; a process of an older epoch ends at its next beat."""
    halted: Mapped[str | None] = mapped_column(Text)
    """The error that a restart cannot cure; no process is started until a person starts the stream again."""
    pinned: Mapped[dict[str, Any] | None]
    """What was chosen once and stays over restarts, such as the model."""
    ended_runs: Mapped[list[Any]]
    """Runs that a person ended in Dagster and that were taken off the wanted number."""
    changed_at: Mapped[datetime]
    changed_by: Mapped[str] = mapped_column(String(160))


class StreamMember(Table):
    """A process of a stream: the last one that had the slot."""

    __tablename__ = "stream_members"
    stream: Mapped[str] = mapped_column(ForeignKey("streams.name"), primary_key=True)
    slot: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(String(64))
    epoch: Mapped[int]
    pid: Mapped[int]
    host: Mapped[str] = mapped_column(String(255))
    started_at: Mapped[datetime]
    beat_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(Text)
    """How it ended, in words; None while it lives or when it was killed."""
    checkpoint: Mapped[dict[str, Any] | None]
    """`streams.checkpoint.Checkpoint` as JSON, the newest."""
