"""Reads a pipeline from the warehouse for a decision, and writes what was decided."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from millrace.conductor import decisions as d
from millrace.conductor.holding import held_stages
from millrace.conductor.newest import newest_model, newest_report
from millrace.conductor.states import Attempt, AttemptState, Snapshot, State
from millrace.conductor.triggers import attempt_event_id, cancelled_event, trace_parent, trigger_event
from millrace.contracts.canonical import sha256_json
from millrace.contracts.errors import NotFound
from millrace.contracts.stages import Level, TriggeredStage
from millrace.contracts.task import Answers, PipelineSettings
from millrace.contracts.topics import Topics
from millrace.warehouse import outbox
from millrace.warehouse.schema import History, Pipeline, StageAttempt


@dataclass(frozen=True)
class Cause:
    """Who made a transition happen, and by what."""

    actor: str
    cause: str
    at: datetime


def locked_pipeline(session: Session, pipeline_id: str) -> Pipeline:
    """The row of the pipeline, locked until the transaction ends.

    Raises:
        NotFound: there is no such pipeline.
    """
    # SQLite has no row locks: there the transaction itself began with BEGIN IMMEDIATE
    row = session.scalars(
        select(Pipeline).where(Pipeline.id == pipeline_id).with_for_update().execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        raise NotFound(
            f"there is no pipeline {pipeline_id[:80]!r}",
            field="pipeline_id",
            remedy="list yours with `millrace pipeline list`",
        )
    return row


def attempts_of(session: Session, pipeline_id: str) -> list[StageAttempt]:
    """All attempts of the pipeline, the oldest first."""
    return list(
        session.scalars(select(StageAttempt).where(StageAttempt.pipeline_id == pipeline_id).order_by(StageAttempt.id))
    )


def shown_hashes(session: Session, row: Pipeline) -> dict[str, str]:
    """Stage → hash of what a person looks at before approving it: the data and what the stage before it left."""
    shown = {}
    bias = newest_report(session, row.id, "bias")
    if bias is not None:
        shown["automl"] = sha256_json({"dataset": row.sha256, "bias_report": bias.report_hash})
    model = newest_model(session, row.id)
    if model is not None:
        model_bias = newest_report(session, row.id, "model_bias")
        shown["xai"] = sha256_json(
            {
                "dataset": row.sha256,
                "model": model.tree_sha256,
                "model_bias_report": model_bias.report_hash if model_bias else None,
            }
        )
    return shown


def snapshot_of(session: Session, row: Pipeline) -> Snapshot:
    """What the machine needs to know of the pipeline."""
    attempts = tuple(
        Attempt(
            cast(TriggeredStage, one.stage),
            cast(Level, one.level) if one.level else None,
            one.attempt,
            cast(AttemptState, one.state),
        )
        for one in attempts_of(session, row.id)
    )
    return Snapshot(
        pipeline_id=row.id,
        state=cast(State, row.state),
        stage=cast(TriggeredStage | None, row.stage),
        settings=PipelineSettings.model_validate(row.settings),
        answers=Answers.model_validate(row.answers) if row.answers else None,
        approvals=dict(row.approvals),
        shown=shown_hashes(session, row),
        held=held_stages(session, row),
        attempts=attempts,
        retry_at=row.retry_at,
        ending_runs=row.ending_runs,
    )


def write(session: Session, topics: Topics, row: Pipeline, decision: d.Decision, cause: Cause) -> None:
    """Carries the decision out: the row, its attempts, the events in the outbox and one history entry."""
    if decision.ignored:
        return
    from_state = row.state if row.revision else None
    row.retry_at = None
    for command in decision.commands:
        _carry_out(session, topics, row, command, cause)
    row.state, row.stage = decision.to_state, decision.stage
    row.revision += 1
    row.updated_at = cause.at
    session.add(
        History(
            pipeline_id=row.id,
            seq=row.revision,
            at=cause.at,
            actor=cause.actor,
            cause=cause.cause,
            from_state=from_state,
            to_state=decision.to_state,
            stage=decision.stage,
            message=decision.message,
            seen_sha256=decision.seen_sha256,
            detail=dict(decision.detail),
        )
    )
    session.flush()


def _carry_out(session: Session, topics: Topics, row: Pipeline, command: d.Command, cause: Cause) -> None:
    match command:
        case d.RecordAnswers(answers=answers, settings=settings):
            row.answers = answers.model_dump(mode="json")
            if settings is not None:
                row.settings = settings.model_dump(mode="json")
        case d.RecordApproval(stage=stage, sha256=sha256):
            row.approvals = {**row.approvals, stage: sha256}
        case d.VoidApprovals():
            row.approvals = {}
        case d.RecordError(error=error):
            row.error = dict(error)
        case d.RecordSuccessor(pipeline_id=pipeline_id):
            row.superseded_by = pipeline_id
        case d.ScheduleRetry(at=at):
            row.retry_at = at
        case d.EndRuns():
            row.ending_runs = True
        case d.StopEndingRuns():
            row.ending_runs = False
        case d.SendTrigger():
            _send(session, topics, row, command, cause)
        case d.CancelAttempts():
            _cancel_attempts(session, topics, row, cause)


def _send(session: Session, topics: Topics, row: Pipeline, send: d.SendTrigger, cause: Cause) -> None:
    event_id = attempt_event_id(row.id, send.stage, send.level, send.attempt)
    session.add(
        StageAttempt(
            pipeline_id=row.id,
            stage=send.stage,
            level=send.level or "",
            attempt=send.attempt,
            state="requested",
            trigger_event_id=event_id,
            requested_at=cause.at,
        )
    )
    settings = PipelineSettings.model_validate(row.settings)
    model = newest_model(session, row.id) if send.stage == "xai" else None
    event = trigger_event(session, row, send, settings=settings, model=model, at=cause.at)
    outbox.enqueue(
        session,
        topics,
        event,
        event_id=event_id,
        pipeline_id=row.id,
        attempt=send.attempt,
        trace_parent=trace_parent(row.trace_id, event_id),
        content_sha256=model.tree_sha256 if model else row.sha256,
        executor="external" if settings.executors.get(send.stage) == "external" else None,
    )
    row.error = None


def _cancel_attempts(session: Session, topics: Topics, row: Pipeline, cause: Cause) -> None:
    # the row lock makes a save that is under way finish first, or find its attempt cancelled
    open_ones = session.scalars(
        select(StageAttempt)
        .where(StageAttempt.pipeline_id == row.id, StageAttempt.state.in_(("requested", "claimed")))
        .order_by(StageAttempt.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    for attempt in open_ones:
        attempt.state = "cancelled"
        attempt.finished_at = cause.at
        event = cancelled_event(row, attempt, at=cause.at)
        outbox.enqueue(
            session,
            topics,
            event,
            event_id=event.event_id,
            pipeline_id=row.id,
            attempt=attempt.attempt,
            trace_parent=trace_parent(row.trace_id, event.event_id),
        )


def derived_id(prefix: str, cause_event_id: str) -> str:
    """The identifier that follows from a cause: two conductors that see the same event make the same pipeline."""
    return f"{prefix}-{hashlib.sha256(cause_event_id.encode()).hexdigest()[:20]}"


def new_row(fields: dict[str, Any]) -> Pipeline:
    """A pipeline that has not begun; answers and error are left out, because a stored JSON null is not NULL."""
    return Pipeline(approvals={}, ending_runs=False, revision=0, state="", **fields)
