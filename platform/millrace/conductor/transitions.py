"""The transitions that exist. The machine refuses all others, and the diagram in the docs is drawn from here."""

from dataclasses import dataclass

from millrace.conductor import happenings as h
from millrace.conductor.states import State


@dataclass(frozen=True)
class Transition:
    """From each of the states, the happening leads to one of the others. None is the state before the beginning."""

    happening: type[h.Happening]
    from_states: tuple[State | None, ...]
    to_states: tuple[State, ...]


_ACTIVE: tuple[State, ...] = ("waiting_for_answers", "queued", "running", "waiting_for_approval", "retrying")

TRANSITIONS: tuple[Transition, ...] = (
    Transition(h.DatasetSeen, (None,), ("waiting_for_answers", "queued", "superseded")),
    Transition(h.Answered, ("waiting_for_answers",), ("queued",)),
    Transition(h.StageStarted, ("queued", "running"), ("running",)),
    Transition(h.StageStarted, ("retrying",), ("retrying",)),
    Transition(h.BiasReported, ("queued", "running"), ("waiting_for_approval", "queued")),
    Transition(h.ModelUploaded, ("queued", "running"), ("waiting_for_approval", "queued")),
    Transition(h.XaiReported, ("queued", "running"), ("running", "completed")),
    Transition(h.XaiReported, ("retrying",), ("retrying",)),
    Transition(h.XaiReported, ("failed",), ("failed",)),
    Transition(h.Approved, ("waiting_for_approval",), ("queued",)),
    Transition(h.Rejected, ("waiting_for_approval",), ("rejected",)),
    Transition(h.StageFailed, ("queued", "running", "retrying"), ("retrying", "failed")),
    Transition(h.StageFailed, ("failed",), ("failed",)),
    Transition(h.RetryDue, ("retrying",), ("queued", "running", "waiting_for_approval")),
    Transition(h.RetryAsked, ("retrying", "failed"), ("queued", "running", "waiting_for_approval")),
    Transition(h.CancelAsked, (*_ACTIVE, "failed"), ("cancelled",)),
    Transition(h.Superseded, _ACTIVE, ("superseded",)),
    Transition(h.RunsEnded, ("cancelled",), ("cancelled",)),
    Transition(h.RunsEnded, ("superseded",), ("superseded",)),
)

_REQUESTS: dict[type[h.Request], str] = {
    h.Answered: "answer",
    h.Approved: "approve",
    h.Rejected: "reject",
    h.RetryAsked: "retry",
    h.CancelAsked: "cancel",
}


def targets(state: State | None, happening: type[h.Happening]) -> frozenset[State]:
    """The states that the happening can lead to from there; empty where it does not apply."""
    return frozenset(
        to
        for transition in TRANSITIONS
        if transition.happening is happening and state in transition.from_states
        for to in transition.to_states
    )


def request_name(happening: type[h.Request]) -> str:
    """The request as REST and the command line call it."""
    return _REQUESTS[happening]


def possible_requests(state: State) -> tuple[str, ...]:
    """What a person can ask in that state, such as `("approve", "reject", "cancel")`."""
    return tuple(name for happening, name in _REQUESTS.items() if targets(state, happening))
