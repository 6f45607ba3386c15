"""Decisions on requests of people, and on retries, which people and the clock ask for."""

from millrace.conductor import decisions as d
from millrace.conductor import happenings as h
from millrace.conductor.moves import ending, go_on, ignored
from millrace.conductor.states import Snapshot, stage_name, state_text
from millrace.conductor.transitions import possible_requests, request_name
from millrace.contracts.errors import Conflict


def answered(snapshot: Snapshot, asked: h.Answered) -> d.Decision:
    """The answers are kept, and the bias stage begins."""
    how = "accepted the proposal" if asked.proposed else "answered"
    target, task = asked.answers.target, asked.answers.task_type
    return go_on(
        snapshot,
        "bias",
        f"{how}: {task} of {target!r}",
        d.RecordAnswers(asked.answers, asked.settings),
        detail={"answers": asked.answers.model_dump(mode="json")},
    )


def approved(snapshot: Snapshot, asked: h.Approved) -> d.Decision:
    """The approval is kept with the hash of what was shown, and the stage begins.

    Raises:
        Conflict: another stage waits, or what is shown has changed since it was looked at.
    """
    stage = snapshot.stage
    if stage is None or (asked.stage is not None and asked.stage != stage):
        raise refusal(snapshot, asked)
    shown = snapshot.shown.get(stage)
    if shown is None or (asked.seen is not None and asked.seen != shown):
        raise Conflict(
            f"what pipeline {snapshot.pipeline_id} shows for approval has changed since it was looked at",
            field="seen_sha256",
            remedy=f"look again with `millrace pipeline show {snapshot.pipeline_id}`, then approve",
        )
    note = f": {asked.note}" if asked.note else ""
    decision = go_on(snapshot, stage, f"approved {stage_name(stage)}{note}", d.RecordApproval(stage, shown))
    return d.Decision(decision.to_state, stage, decision.message, decision.commands, seen_sha256=shown)


def rejected(snapshot: Snapshot, asked: h.Rejected) -> d.Decision:
    """The pipeline ends before the stage that waits.

    Raises:
        Conflict: another stage waits.
    """
    stage = snapshot.stage
    if stage is None or (asked.stage is not None and asked.stage != stage):
        raise refusal(snapshot, asked)
    reason = f": {asked.reason}" if asked.reason else ""
    return d.Decision(
        "rejected",
        stage,
        f"rejected before {stage_name(stage)}{reason}",
        ending(snapshot),
        seen_sha256=snapshot.shown.get(stage),
    )


def retry(snapshot: Snapshot, happening: h.Happening) -> d.Decision:
    """The missing attempts of the stage are opened again."""
    stage = snapshot.stage
    if stage is None:
        return ignored(snapshot, "has no stage to try again")
    if isinstance(happening, h.RetryDue) and snapshot.retry_at is not None and happening.at < snapshot.retry_at:
        return ignored(snapshot, "waits longer")
    word = "asked to try" if isinstance(happening, h.RetryAsked) else "trying"
    return go_on(snapshot, stage, f"{word} {stage_name(stage)} again")


def cancelled(snapshot: Snapshot, asked: h.CancelAsked) -> d.Decision:
    """The pipeline ends; open attempts are closed and their runs ended."""
    reason = f": {asked.reason}" if asked.reason else ""
    state = snapshot.state or "waiting_for_answers"
    return d.Decision(
        "cancelled",
        snapshot.stage,
        f"cancelled while {state_text(state, snapshot.stage)}{reason}",
        ending(snapshot),
    )


def refusal(snapshot: Snapshot, happening: h.Request) -> Conflict:
    """The error for a request that the state does not allow."""
    state = snapshot.state
    if state is None:
        return Conflict("the pipeline does not exist yet", remedy="upload the data set first")
    possible = possible_requests(state)
    remedy = (
        "possible now: " + ", ".join(f"`millrace pipeline {name} {snapshot.pipeline_id}`" for name in possible)
        if possible
        else "start a new pipeline on the data set with `millrace run` or POST /pipelines"
    )
    return Conflict(
        f"pipeline {snapshot.pipeline_id} is {state_text(state, snapshot.stage)}; "
        f"{request_name(type(happening))} is not possible in that state",
        field="state",
        remedy=remedy,
    )
