"""Moves that several decisions share."""

from typing import Any

from millrace.conductor import decisions as d
from millrace.conductor.states import Snapshot, State, stage_name
from millrace.contracts.stages import Level, TriggeredStage


def ignored(snapshot: Snapshot, reason: str) -> d.Decision:
    """Nothing follows, for that reason."""
    return d.Decision(snapshot.state or "waiting_for_answers", snapshot.stage, reason, ignored=True)


def go_on(snapshot: Snapshot, stage: TriggeredStage, message: str, *before: d.Command, **facts: Any) -> d.Decision:
    """Goes on to a stage: opens its missing attempts, or waits where an approval of what is there now is missing.

    A stage that the bias policy holds back needs an approval whatever the settings say.
    """
    held = snapshot.held.get(stage)
    needs_approval = held is not None or stage in snapshot.settings.approvals
    granted = {one.stage: one.sha256 for one in before if isinstance(one, d.RecordApproval)}
    approved = granted.get(stage, snapshot.approvals.get(stage))
    if needs_approval and (approved is None or approved != snapshot.shown.get(stage)):
        stale = "; the approval given earlier was for other content and is void" if approved is not None else ""
        return d.Decision(
            "waiting_for_approval",
            stage,
            f"{message}; {f'{held}; ' if held else ''}{stage_name(stage)} waits for approval{stale}",
            before,
            seen_sha256=snapshot.shown.get(stage),
            **facts,
        )
    sends = tuple(_missing(snapshot, stage))
    working = any(one.stage == stage and one.state == "claimed" for one in snapshot.attempts)
    to_state: State = "running" if working else "queued"
    return d.Decision(to_state, stage, message, (*before, *sends), **facts)


def _missing(snapshot: Snapshot, stage: TriggeredStage) -> list[d.SendTrigger]:
    levels: tuple[Level | None, ...] = snapshot.settings.levels if stage == "xai" else (None,)
    sends = []
    for level in levels:
        latest = snapshot.latest(stage, level)
        if latest is None:
            sends.append(d.SendTrigger(stage, level, 1))
        elif latest.state in ("failed", "cancelled"):
            sends.append(d.SendTrigger(stage, level, latest.number + 1))
    return sends


def is_current(snapshot: Snapshot, stage: TriggeredStage, level: Level | None, attempt: int) -> bool:
    """Whether the stage is where the pipeline is, and the attempt its newest."""
    latest = snapshot.latest(stage, level)
    return snapshot.stage == stage and latest is not None and latest.number == attempt


def ending(snapshot: Snapshot) -> tuple[d.Command, ...]:
    """What closes the open attempts and ends their runs; empty when none is open."""
    return (d.CancelAttempts(), d.EndRuns()) if snapshot.open_attempts() else ()
