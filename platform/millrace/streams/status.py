"""How a stream does: its processes, its lag by partition, and in one word whether it is well."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from millrace.kafka.lag import PartitionLag, lag_of
from millrace.kafka.lag_state import LagSample, LagState, state_of, worst
from millrace.kafka.waiting import Place
from millrace.settings import Settings
from millrace.streams.members import Member, members_of
from millrace.streams.names import group_of
from millrace.streams.wanted import Wanted, wanted_of
from millrace.warehouse.store import Warehouse

HISTORY = 10
"""Checkpoints whose lag a process remembers: five minutes of them, as long as Burrow's window."""


@dataclass(frozen=True)
class PartitionStatus:
    """A partition's lag and the state that a window of it comes to."""

    lag: PartitionLag
    state: LagState


@dataclass(frozen=True)
class StreamStatus:
    """A stream at one moment. Rates are records a second of the last checkpoints of all living processes."""

    wanted: Wanted
    members: Sequence[Member]
    partitions: Sequence[PartitionStatus]
    window_seconds: float
    rate: float
    dead_letters: int
    commit_age: float | None

    @property
    def state(self) -> LagState:
        """The worst of the partitions'; STOPPED too where processes are wanted and none lives."""
        if self.wanted.wanted and not self.alive:
            return "STOPPED"
        return worst([one.state for one in self.partitions])

    @property
    def alive(self) -> int:
        """Processes that live."""
        return sum(one.alive for one in self.members)

    def to_json(self) -> dict[str, Any]:
        """Everything, for `--json` and the live page."""
        lags = [one.lag for one in self.partitions]
        return {
            "stream": self.wanted.stream,
            "state": self.state,
            "wanted": self.wanted.wanted,
            "alive": self.alive,
            "halted": self.wanted.halted,
            "lag_records": sum(one.records for one in lags),
            "lag_seconds": max((one.seconds for one in lags), default=0.0),
            "window_seconds": self.window_seconds,
            "rate": self.rate,
            "dead_letters": self.dead_letters,
            "commit_age": self.commit_age,
            "partitions": [{**asdict(one.lag), "state": one.state} for one in self.partitions],
            "members": [asdict(one) for one in self.members],
        }


def status_of(
    settings: Settings, warehouse: Warehouse, stream: str, topics: Sequence[str], *, samples: int, pause: float = 1.0
) -> StreamStatus:
    """The stream's status. Where its processes remember no lag yet, `samples` looks are taken, `pause` seconds apart.

    Raises:
        NotFound: there is no such stream.
        CannotReach: the broker or the warehouse does not answer.
    """
    wanted = wanted_of(warehouse, stream)
    members = members_of(warehouse, stream)
    window = remembered(members)
    lags = lag_of(settings, group_of(settings, stream), topics)
    _add(window, lags)
    for _ in range(samples - max((len(one) for one in window.values()), default=samples)):
        time.sleep(pause)
        lags = lag_of(settings, group_of(settings, stream), topics)
        _add(window, lags)
    alive = [one for one in members if one.alive]
    checkpoints = [one.checkpoint for one in alive if one.checkpoint]
    now = time.time()
    ages = [now - one["at"] + one["commit_age"] for one in checkpoints if one["commit_age"] is not None]
    return StreamStatus(
        wanted=wanted,
        members=members,
        partitions=[
            PartitionStatus(one, state_of(window[(one.topic, one.partition)], alive=bool(alive))) for one in lags
        ],
        window_seconds=max((one[-1].at - one[0].at for one in window.values()), default=0.0),
        rate=sum(one["rate"] for one in checkpoints),
        dead_letters=sum(one["totals"]["dead_letters"] for one in checkpoints),
        commit_age=min(ages, default=None),
    )


def remembered(members: Sequence[Member]) -> dict[Place, list[LagSample]]:
    """The samples that living processes left with their checkpoints, oldest first."""
    window: dict[Place, list[LagSample]] = {}
    for member in members:
        for at, lags in (member.checkpoint or {}).get("history", ()) if member.alive else ():
            for name, (committed, records) in lags.items():
                topic, _, partition = name.rpartition("/")
                window.setdefault((topic, int(partition)), []).append(LagSample(at, committed, records))
    return {place: sorted(samples, key=lambda one: one.at) for place, samples in window.items()}


def history_entry(at: float, lags: Sequence[PartitionLag]) -> list[Any]:
    """What a checkpoint remembers of a look at the lag, as JSON."""
    return [at, {f"{one.topic}/{one.partition}": [one.committed, one.records] for one in lags}]


def _add(window: dict[Place, list[LagSample]], lags: Sequence[PartitionLag]) -> None:
    at = time.time()
    for one in lags:
        window.setdefault((one.topic, one.partition), []).append(LagSample(at, one.committed, one.records))
