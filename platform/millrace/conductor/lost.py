"""Attempts whose run died without a word: a pure rule for what is lost, from what is seen of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from millrace.contracts.control import LiveRun

UNCLAIMED_SECONDS = 30.0
"""A trigger becomes a run within seconds; before that, nothing is asked of Dagster."""
NO_RUN_SECONDS = 300.0
"""A trigger that became no run for so long is lost (a recreated broker, a daemon that was down and whose cursor moved);
long, because a run that comes late finds its attempt over and does nothing."""
DEAD_SECONDS = 10.0
"""A process is taken for dead only when it was missing for so long: with one process per step, the next one claims the
attempt a few seconds after the last one has ended."""
_LIVE = ("QUEUED", "NOT_STARTED", "MANAGED", "STARTING", "STARTED", "CANCELING")


@dataclass(frozen=True)
class Lost:
    """How an attempt is to be failed."""

    run_id: str
    error_class: str
    message: str
    transient: bool


def lost_before_claim(age_seconds: float, runs: Sequence[LiveRun]) -> Lost | None:
    """Whether an attempt that no run has claimed for `age_seconds` is lost, given the runs of its trigger."""
    if age_seconds < UNCLAIMED_SECONDS or any(run.status in _LIVE for run in runs):
        return None
    if runs:
        last = runs[0]
        return Lost(
            last.run_id,
            "RunEnded",
            f"run {last.run_id} ended ({last.status}) before it took up its work",
            # a run that succeeded without its work would do the same again; one that a person ended is theirs to retry
            transient=last.status == "FAILURE",
        )
    if age_seconds >= NO_RUN_SECONDS:
        return Lost("none", "TriggerLost", f"the trigger became no run within {NO_RUN_SECONDS:.0f} s", transient=True)
    return None


def lost_after_claim(run_id: str, status: str | None, dead_seconds: float | None) -> Lost | None:
    """Whether a claimed attempt is lost: its run has ended, or its process has been missing for `dead_seconds`."""
    if status is not None and status not in _LIVE:
        return Lost(
            run_id,
            "RunEnded",
            f"run {run_id} ended ({status}) without a result",
            transient=status == "FAILURE",
        )
    if dead_seconds is not None and dead_seconds >= DEAD_SECONDS:
        return Lost(run_id, "ProcessDied", f"the process of run {run_id} is gone", transient=True)
    return None
