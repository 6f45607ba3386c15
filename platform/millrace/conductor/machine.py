"""The state machine: a pure function from what is known and what happened to what follows."""

from collections.abc import Callable
from typing import Any

from millrace.conductor import decisions as d
from millrace.conductor import event_decisions as on_event
from millrace.conductor import happenings as h
from millrace.conductor import request_decisions as on_request
from millrace.conductor.moves import ignored
from millrace.conductor.states import Snapshot
from millrace.conductor.transitions import targets


def decide(snapshot: Snapshot, happening: h.Happening) -> d.Decision:
    """What follows. An event that no longer matters gives a decision with `ignored` set.

    Raises:
        Conflict: a person's request that the state does not allow; says the state and what is possible.
    """
    repeated = _repeated(snapshot, happening)
    if repeated is not None:
        return ignored(snapshot, repeated)
    allowed = targets(snapshot.state, type(happening))
    if not allowed:
        if isinstance(happening, h.Request):
            raise on_request.refusal(snapshot, happening)
        return ignored(snapshot, f"does not apply to a pipeline that is {snapshot.state}")
    decision = _HANDLERS[type(happening)](snapshot, happening)
    if not decision.ignored and decision.to_state not in allowed:
        raise AssertionError(f"{type(happening).__name__}: {snapshot.state} to {decision.to_state} is no transition")
    return decision


def _repeated(snapshot: Snapshot, happening: h.Happening) -> str | None:
    # a request whose answer was lost is sent again: the second one finds its effect there and changes nothing
    match happening:
        case h.CancelAsked() if snapshot.state == "cancelled":
            return "is cancelled already"
        case h.Rejected() if snapshot.state == "rejected":
            return "is rejected already"
        case h.Answered(answers=answers) if snapshot.answers == answers and snapshot.state != "waiting_for_answers":
            return "has these answers already"
        case h.Approved(stage=stage) if stage in snapshot.approvals:
            waits_again = snapshot.state == "waiting_for_approval" and snapshot.stage == stage
            return None if waits_again else "is approved already"
    return None


_HANDLERS: dict[type[h.Happening], Callable[[Snapshot, Any], d.Decision]] = {
    h.DatasetSeen: on_event.dataset_seen,
    h.Answered: on_request.answered,
    h.StageStarted: on_event.stage_started,
    h.BiasReported: on_event.bias_reported,
    h.ModelUploaded: on_event.model_uploaded,
    h.XaiReported: on_event.xai_reported,
    h.StageFailed: on_event.stage_failed,
    h.Approved: on_request.approved,
    h.Rejected: on_request.rejected,
    h.RetryDue: on_request.retry,
    h.RetryAsked: on_request.retry,
    h.CancelAsked: on_request.cancelled,
    h.Superseded: on_event.superseded,
    h.RunsEnded: on_event.runs_ended,
}
