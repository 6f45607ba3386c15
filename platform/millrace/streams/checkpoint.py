"""What a stream tells every so many seconds, whatever it does meanwhile."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from millrace.kafka.lag import PartitionLag
from millrace.kafka.stream_options import Totals
from millrace.kafka.waiting import Place
from millrace.streams.meter import Times


@dataclass(frozen=True)
class Checkpoint:
    """A stream's process at one moment. Rates are per second of the window, which began with the checkpoint before."""

    at: float
    """Seconds since 1970."""
    window_seconds: float
    totals: Totals
    """Since the process began."""
    window: Totals
    offsets: Mapping[str, int]
    """Next offset to be read of each partition that was committed, as topic/partition."""
    times: Times
    facts: Mapping[str, Any]
    """What the step says of itself, such as its model and version."""
    lag: Sequence[PartitionLag] | None
    """Of the whole group; None while the broker did not say."""
    commit_age: float | None
    """Seconds since the last commit; None before the first."""

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.window.records / self.window_seconds if self.window_seconds > 0 else 0.0

    @property
    def lag_records(self) -> int | None:
        """Records that wait, in all partitions."""
        return None if self.lag is None else sum(one.records for one in self.lag)

    @property
    def lag_seconds(self) -> float | None:
        """Age of the oldest record that waits."""
        return None if self.lag is None else max((one.seconds for one in self.lag), default=0.0)

    def to_json(self) -> dict[str, Any]:
        """Everything, for the warehouse and `--json`."""
        return {**asdict(self), "rate": self.rate, "lag_records": self.lag_records, "lag_seconds": self.lag_seconds}


class Checkpoints:
    """Makes a process's checkpoints one after the other."""

    def __init__(self) -> None:
        self._before = Totals()
        self._moment = time.monotonic()

    def make(
        self,
        totals: Totals,
        committed: Mapping[Place, int],
        times: Times,
        *,
        facts: Mapping[str, Any],
        lag: Sequence[PartitionLag] | None,
        commit_age: float | None,
    ) -> Checkpoint:
        """The checkpoint of now; the next one's window begins here."""
        moment = time.monotonic()
        window = Totals(**{name: value - getattr(self._before, name) for name, value in vars(totals).items()})
        seconds = moment - self._moment
        self._before, self._moment = totals, moment
        return Checkpoint(
            at=time.time(),
            window_seconds=seconds,
            totals=totals,
            window=window,
            offsets={f"{topic}/{partition}": end for (topic, partition), end in sorted(committed.items())},
            times=times,
            facts=dict(facts),
            lag=lag,
            commit_age=commit_age,
        )
