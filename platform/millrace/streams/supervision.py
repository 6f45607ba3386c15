"""Which processes of a stream are to be started now: from what is wanted and from the runs there were."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from millrace.streams.wanted import Wanted

State = Literal["live", "ended", "failed", "cancelled"]

_QUICK_SECONDS = 300.0
"""A process that failed after a shorter life did not do better than the one before it."""
_FIRST_PAUSE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 300.0


@dataclass(frozen=True)
class RunSeen:
    """A run of the stream's job. Times are seconds since 1970; `slot` is None before a run by hand has taken one."""

    run_id: str
    state: State
    slot: int | None = None
    epoch: int = 0
    generation: int = 0
    began: float = 0.0
    ended: float = 0.0


@dataclass(frozen=True)
class Start:
    """A run to be requested; `run_key` is the same however often the same situation is seen."""

    stream: str
    slot: int
    epoch: int
    generation: int

    @property
    def run_key(self) -> str:
        """Unique for the slot's next process."""
        return f"{self.stream}/{self.slot}/{self.epoch}/{self.generation}"


@dataclass(frozen=True)
class Plan:
    """What to do now, and in words what is waited for."""

    starts: tuple[Start, ...] = ()
    waits: tuple[str, ...] = ()


def ended_by_hand(wanted: Wanted, runs: Sequence[RunSeen]) -> list[str]:
    """Runs that a person ended in Dagster since the last start and that are still counted in the wanted number."""
    return [
        run.run_id
        for run in runs
        if run.state == "cancelled" and run.epoch == wanted.epoch and run.run_id not in wanted.ended_runs
    ]


def plan(wanted: Wanted, runs: Sequence[RunSeen], *, now: float) -> Plan:
    """The processes that are wanted and not there, in the lowest free slots; `runs` are the newest first.

    A process that failed is started again at once, and with growing pauses where it fails again and again.
    """
    live = [run for run in runs if run.state == "live"]
    missing = wanted.running - len(live)
    taken = {run.slot for run in live}
    starts: list[Start] = []
    waits: list[str] = []
    slot = -1
    while len(starts) + len(waits) < missing:
        slot += 1
        if slot in taken:
            continue
        before = [run for run in runs if run.slot == slot]
        due, failures = _due(before)
        if now < due:
            waits.append(f"slot {slot} failed {failures} times in a row; the next try is in {due - now:.0f} s")
            continue
        generation = 1 + max((run.generation for run in before), default=0)
        starts.append(Start(wanted.stream, slot, wanted.epoch, generation))
    return Plan(tuple(starts), tuple(waits))


def _due(before: Sequence[RunSeen]) -> tuple[float, int]:
    failures = 0
    for run in before:
        if run.state != "failed" or run.ended - run.began >= _QUICK_SECONDS:
            break
        failures += 1
    if failures < 2:
        return 0.0, failures
    return before[0].ended + min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** (failures - 2)), failures
