"""The batch whose outputs are on their way to the broker, while the next one is processed."""

import time
from typing import TYPE_CHECKING

from millrace.kafka.committers import Committer
from millrace.kafka.jobs import Settled
from millrace.kafka.waiting import Place
from millrace.kafka.worker import Worker

if TYPE_CHECKING:
    from confluent_kafka import Consumer


class Commits:
    """One batch at a time, sent on a thread of its own: a transaction begins when the one before it is committed."""

    def __init__(self, committer: Committer, *, member: str) -> None:
        self._committer = committer
        self._worker: Worker[Settled] = Worker(f"commit-{member}")
        self._ends: dict[Place, int] = {}
        self.records = 0
        """How many records the batch has; 0 when there is none."""
        self.committed_at: float | None = None
        """Monotonic time of the last commit; None before the first."""

    @property
    def busy(self) -> bool:
        """Whether a batch was begun and not taken."""
        return self._worker.busy

    @property
    def ends(self) -> dict[Place, int]:
        """Next offset of each partition that was committed. May be read from any thread."""
        return dict(self._ends)

    def begin(self, settled: Settled, consumer: "Consumer", until: float) -> None:
        """Sends the batch; there must be none on its way. `until` is monotonic."""
        # asked for on another thread than the one that polls, librdkafka 2.16 does not always answer
        group = consumer.consumer_group_metadata()

        def work() -> Settled:
            self._committer.send(settled.outputs, settled.ends, group, until)
            return settled

        self.records = settled.records
        self._worker.submit(work)

    def wait(self, seconds: float) -> bool:
        """Whether the batch on its way can be taken, within the time; False when there is none."""
        return self._worker.wait(seconds)

    def take(self, consumer: "Consumer") -> Settled:
        """The batch, which is committed now.

        Raises:
            MustAbort: it is not, and may be tried again from the committed offsets.
            CannotReach: the broker took too long.
            Replaced: another process has this one's slot.
        """
        self.records = 0
        settled = self._worker.take()
        self._committer.confirm(settled.ends, consumer)
        # a new dictionary: another thread may be reading the one before
        self._ends = self._ends | dict(settled.ends)
        self.committed_at = time.monotonic()
        return settled

    def close(self) -> None:
        """Lets the thread end after the batch on its way."""
        self._worker.close()
