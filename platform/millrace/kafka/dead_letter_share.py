"""The share of dead letters among the last records: a bad deployment must not move a topic into its dead letters."""

from collections import deque

from millrace.kafka.stream_errors import TooManyDeadLetters


class DeadLetterShare:
    """Counts over a window of records; batches enter whole, and the oldest leave when the window is full."""

    def __init__(self, *, limit: float, window: int, minimum: int) -> None:
        self._limit = limit
        self._window = window
        self._minimum = minimum
        self._batches: deque[tuple[int, int]] = deque()
        self.records = 0
        self.dead = 0

    def admit(self, records: int, dead: int, *, cause: str = "") -> None:
        """Takes a batch into the window.

        Raises:
            TooManyDeadLetters: with it the share is above the limit; the batch must not be committed.
        """
        self._batches.append((records, dead))
        self.records += records
        self.dead += dead
        while self._batches and self.records - self._batches[0][0] >= self._window:
            old_records, old_dead = self._batches.popleft()
            self.records -= old_records
            self.dead -= old_dead
        if self.dead >= self._minimum and self.dead > self._limit * self.records:
            raise TooManyDeadLetters(
                f"{self.dead} of the last {self.records} records are dead letters, above the limit of "
                f"{self._limit:.0%}; the last {dead} were not sent, their offsets not committed. Last cause: {cause}",
                remedy="see what they have in common with `millrace dlq list`; correct the step or the producer and "
                "start the stream again: it goes on where it stopped",
            )
