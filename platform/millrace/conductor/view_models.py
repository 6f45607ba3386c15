"""Pipelines as people see them: the shapes of what REST, the pages and the command line show."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from millrace.conductor.proposals import Proposals
from millrace.conductor.states import State
from millrace.conductor.timing import Seconds
from millrace.contracts.stages import TriggeredStage
from millrace.contracts.task import Answers, PipelineSettings


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class AttemptView(_View):
    """One try at a stage."""

    stage: TriggeredStage
    level: str | None
    attempt: int
    state: str
    run_id: str | None
    error: dict[str, Any] | None
    requested_at: datetime
    claimed_at: datetime | None
    finished_at: datetime | None


class ReportView(_View):
    """A report that the pipeline made."""

    report_id: str
    kind: str
    level: str | None
    model_version: int | None
    html_sha256: str | None
    json_sha256: str
    report_hash: str
    summary: dict[str, Any]
    created_at: datetime


class ModelView(_View):
    """The model that the pipeline made."""

    model_id: str
    version: str
    mlflow_run_id: str
    model_uri: str
    tree_sha256: str
    framework: str
    task_type: str
    algorithm: str
    target_column: str
    metrics: dict[str, Any]
    created_at: datetime


class WaitingFor(_View):
    """What a person is asked for, and how to give it."""

    what: Literal["answers", "approval"]
    stage: TriggeredStage | None
    why: str
    seen_sha256: str | None
    """Content hash to approve, so that an approval is of what was looked at."""
    command: str


class HistoryEntry(_View):
    """One transition."""

    seq: int
    at: datetime
    actor: str
    cause: str
    from_state: str | None
    to_state: str
    stage: str | None
    message: str
    seen_sha256: str | None
    detail: dict[str, Any]


class PipelineView(_View):
    """A pipeline as people see it."""

    id: str
    user_id: str
    dataset_id: str
    version: int
    sha256: str
    name: str
    file_name: str
    rows: int
    columns: int
    state: State
    stage: TriggeredStage | None
    state_text: str
    """Such as `waiting for approval of the model`."""
    message: str
    """What happened last."""
    terminal: bool
    possible: tuple[str, ...]
    """Requests that the state allows: answer, approve, reject, retry, cancel."""
    waiting_for: WaitingFor | None
    settings: PipelineSettings
    proposals: Proposals
    answers: Answers | None
    approvals: dict[str, str]
    attempts: tuple[AttemptView, ...]
    reports: tuple[ReportView, ...]
    model: ModelView | None
    error: dict[str, Any] | None
    retry_at: datetime | None
    ending_runs: bool
    superseded_by: str | None
    trace_id: str
    revision: int
    created_at: datetime
    updated_at: datetime
    seconds: Seconds
