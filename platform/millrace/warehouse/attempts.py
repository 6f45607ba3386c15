"""Attempts at a stage: a run claims one, and every save of the run is fenced by it."""

import hashlib
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from millrace.contracts.errors import AttemptFenced, NotFound
from millrace.contracts.events import StageEvent, now
from millrace.contracts.task import StageRequest
from millrace.contracts.topics import Topics
from millrace.warehouse.outbox import enqueue
from millrace.warehouse.schema import StageAttempt

MAX_MESSAGE = 4_000
"""Characters of an error message kept and sent; far below the largest event."""


def locked_attempt(session: Session, request: StageRequest) -> StageAttempt:
    """The attempt that the request names, locked until the transaction ends.

    Raises:
        NotFound: the pipeline has no such attempt.
    """
    row = session.scalars(
        select(StageAttempt)
        .where(
            StageAttempt.pipeline_id == request.pipeline_id,
            StageAttempt.stage == request.stage,
            StageAttempt.level == (request.level or ""),
            StageAttempt.attempt == request.attempt,
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        level = f" ({request.level})" if request.level else ""
        raise NotFound(
            f"pipeline {request.pipeline_id} has no attempt {request.attempt} at {request.stage}{level}",
            field="attempt",
            remedy=f"see `millrace pipeline show {request.pipeline_id}`",
        )
    return row


def check_claimed(session: Session, request: StageRequest) -> StageAttempt:
    """The attempt, claimed by this run, for a save in the same transaction.

    Raises:
        AttemptFenced: it is cancelled, over, or another run's.
    """
    row = locked_attempt(session, request)
    if row.state != "claimed" or row.dagster_run_id != request.run_id:
        raise fenced(row, request)
    return row


def finish(row: StageAttempt) -> None:
    """Marks the attempt done."""
    row.state = "done"
    row.finished_at = now()


def fail_attempt(row: StageAttempt, *, error: dict[str, Any]) -> None:
    """Marks the attempt failed."""
    row.state = "failed"
    row.error = error
    row.finished_at = now()


def fenced(row: StageAttempt, request: StageRequest) -> AttemptFenced:
    """The error of a run that may not work on the attempt."""
    by = f" by run {row.dagster_run_id}" if row.dagster_run_id not in (None, request.run_id) else ""
    return AttemptFenced(
        f"attempt {row.attempt} at {row.stage} of pipeline {row.pipeline_id} is {row.state}{by}; nothing was saved",
        field="attempt",
        remedy=f"nothing is to be done; see `millrace pipeline history {row.pipeline_id}`",
    )


def announce(
    session: Session,
    topics: Topics,
    row: StageAttempt,
    request: StageRequest,
    *,
    what: Literal["started", "failed"],
    at: datetime,
    trace_parent: str | None,
    error: dict[str, Any] | None = None,
) -> None:
    """Writes `stage.started` or `stage.failed` to the outbox."""
    facts = error or {}
    event = StageEvent.write(
        timestamp=at,
        user_id=request.key.user_id,
        dataset_id=request.key.dataset_id,
        event_type=f"stage.{what}",
        event_id=f"{row.trigger_event_id}-{what}",
        pipeline_id=row.pipeline_id,
        stage=row.stage,
        level=row.level or None,
        attempt=row.attempt,
        dagster_run_id=row.dagster_run_id,
        error_class=facts.get("error_class"),
        error_message=facts.get("message"),
        transient=bool(facts.get("transient", False)),
    )
    enqueue(
        session, topics, event, pipeline_id=row.pipeline_id, attempt=row.attempt,
        trace_parent=trace_parent,
    )  # fmt: skip


def trace_parent_of(request: StageRequest, *, trace_id: str | None, event_id: str | None) -> str | None:
    """The run's traceparent: the request's, or one within the pipeline's trace."""
    if request.trace_parent or trace_id is None:
        return request.trace_parent
    span = hashlib.sha256((event_id or request.run_id).encode()).hexdigest()[:16]
    return f"00-{trace_id}-{span}-01"
