"""The events that the conductor sends: triggers of stages, and word of cancelled attempts."""

import hashlib
import re
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from millrace.conductor.decisions import SendTrigger
from millrace.contracts.errors import Conflict
from millrace.contracts.events import AutomlTrigger, BiasTrigger, Event, StageEvent, XaiTrigger
from millrace.contracts.stages import Level, TriggeredStage
from millrace.contracts.task import Answers, PipelineSettings
from millrace.warehouse.schema import DatasetVersion, Model, Pipeline, StageAttempt

_TRACE_PARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def attempt_event_id(pipeline_id: str, stage: TriggeredStage, level: Level | None, attempt: int) -> str:
    """Event id of the trigger of an attempt: whoever sends it, it is the same event."""
    return "-".join(part for part in (pipeline_id, stage, level, str(attempt)) if part)


def trigger_event(
    session: Session, row: Pipeline, send: SendTrigger, *, settings: PipelineSettings, model: Model | None, at: datetime
) -> Event:
    """The payload that starts the stage.

    Raises:
        Conflict: the pipeline lacks what the stage needs (answers, or a model).
    """
    owner = {"timestamp": at, "user_id": row.user_id, "dataset_id": row.dataset_id}
    if send.stage == "xai":
        if model is None or send.level is None:
            raise Conflict(f"pipeline {row.id} has no model to explain", remedy=f"millrace pipeline show {row.id}")
        return XaiTrigger.write(**owner, model_id=row.dataset_id, version=f"v{model.version}", level=send.level)
    if row.answers is None:
        raise Conflict(f"pipeline {row.id} has no answers", remedy=f"millrace pipeline answer {row.id}")
    answers = Answers.model_validate(row.answers)
    task = {"target_column_name": answers.target, "task_type": answers.task_type}
    if send.stage == "automl":
        return AutomlTrigger.write(**owner, **task, time_budget=str(settings.time_budget))
    version = session.scalars(
        select(DatasetVersion).where(
            DatasetVersion.user_id == row.user_id,
            DatasetVersion.dataset_id == row.dataset_id,
            DatasetVersion.version == row.version,
        )
    ).one()
    metadata = {**version.meta, "version": row.version, "sha256": row.sha256}
    return BiasTrigger.write(**owner, **task, metadata=metadata, record_count=version.record_count)


def cancelled_event(row: Pipeline, attempt: StageAttempt, *, at: datetime) -> StageEvent:
    """Word that the attempt was cancelled."""
    return StageEvent.write(
        timestamp=at,
        user_id=row.user_id,
        dataset_id=row.dataset_id,
        event_type="stage.cancelled",
        event_id=f"{attempt.trigger_event_id}-cancelled",
        pipeline_id=row.id,
        stage=attempt.stage,
        level=attempt.level or None,
        attempt=attempt.attempt,
        dagster_run_id=attempt.dagster_run_id,
    )


def trace_parent(trace_id: str, event_id: str) -> str:
    """W3C traceparent of an event within the pipeline's trace; the span follows from the event id."""
    return f"00-{trace_id}-{hashlib.sha256(event_id.encode()).hexdigest()[:16]}-01"


def trace_id_of(parent: str | None, *, otherwise: str) -> str:
    """Trace id in a traceparent header, or one that follows from the text where there is none."""
    match = _TRACE_PARENT.fullmatch(parent or "")
    return match.group(1) if match else hashlib.sha256(otherwise.encode()).hexdigest()[:32]
