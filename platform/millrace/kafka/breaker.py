"""When a failed batch is tried again, and whether anything else is tried meanwhile."""

from collections.abc import Callable

from millrace.kafka.waiting import pause_seconds

LONGEST_RETRY_AFTER_SECONDS = 600.0
"""What a server may ask for at most: a wrong header must not stop a stream for a day."""


class Breaker:
    """A circuit breaker over batches. The clock and the draw (0 to 1) for the jitter are given."""

    def __init__(self, *, threshold: int, first_pause: float, draw: Callable[[], float]) -> None:
        self._threshold = threshold
        self._first_pause = first_pause
        self._draw = draw
        self.failures = 0
        self.due = 0.0

    @property
    def open(self) -> bool:
        """Whether so many batches failed in a row that only a probe may be tried."""
        return self.failures >= self._threshold

    def failed(self, now: float, *, tries: int, progress: bool, retry_after: float | None = None) -> float:
        """Seconds until what failed is due again after its `tries`th failure; `progress`: some of the batch went well.

        Half of the wait is fixed, half drawn: many processes do not come back at the same moment.
        """
        self.failures = 0 if progress else self.failures + 1
        pause = pause_seconds(tries, first=self._first_pause) * (0.5 + 0.5 * self._draw())
        if retry_after is not None:
            pause = max(pause, min(retry_after, LONGEST_RETRY_AFTER_SECONDS))
        self.due = now + pause
        return pause

    def succeeded(self) -> None:
        """A batch went well: the circuit is closed."""
        self.failures = 0
