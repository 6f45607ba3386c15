"""What a stream's batches took: waiting, the step, and from the producer to the commit."""

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from millrace.kafka.processor import Processor, Result
from millrace.kafka.records import Record
from millrace.kafka.stream_options import Step

_SAMPLES_A_BATCH = 200
"""Records of a batch whose age is looked at, evenly spread: a batch has up to ten thousand."""
_MOST_SAMPLES = 50_000
"""Of a window; then every second one is dropped."""


@dataclass(frozen=True)
class Percentiles:
    """Of one kind of time in a window, seconds. `count` samples; without any, all are 0."""

    count: int
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Times:
    """A window's times. Queue: from the record's timestamp to the step; step: one call for a batch; end to end: from
    the record's timestamp to the commit, after which readers of committed records see its output."""

    queue: Percentiles
    step: Percentiles
    end_to_end: Percentiles


class Meter:
    """A processor around another that takes the times; the loop tells it of commits. Safe to use from two threads."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor
        self._lock = threading.Lock()
        self._ages: list[int] = []
        self._committing: list[int] = []
        self._clear()

    def process(self, batch: Sequence[Record]) -> Sequence[Result]:
        """What the processor gives for the batch."""
        began, clock = time.perf_counter(), time.time()
        every = max(1, len(batch) // _SAMPLES_A_BATCH)
        stamps = [stamp for record in batch[::every] if (stamp := record.timestamp_ms) >= 0]
        given = self._processor.process(batch)
        with self._lock:
            self._step.append(time.perf_counter() - began)
            _put(self._queue, [max(0.0, clock - stamp / 1000) for stamp in stamps])
            self._ages = stamps
        return given

    def on_step(self, step: Step) -> None:
        """Hears of the loop's steps."""
        with self._lock:
            if step is Step.PROCESSED:
                # the next batch is processed while this one is committed
                self._committing, self._ages = self._ages, []
            elif step is Step.COMMITTED:
                now = time.time()
                _put(self._end_to_end, [max(0.0, now - stamp / 1000) for stamp in self._committing])
                self._committing = []

    def take(self) -> Times:
        """The times since the last call, and a new window."""
        with self._lock:
            times = Times(percentiles(self._queue), percentiles(self._step), percentiles(self._end_to_end))
            self._clear()
        return times

    def _clear(self) -> None:
        self._queue: list[float] = []
        self._step: list[float] = []
        self._end_to_end: list[float] = []


def percentiles(samples: Sequence[float]) -> Percentiles:
    """Nearest-rank percentiles (the smallest sample with at least that share at or below it)."""
    if not samples:
        return Percentiles(0, 0.0, 0.0, 0.0)
    ordered = sorted(samples)
    ranks = (ordered[max(0, math.ceil(share * len(ordered)) - 1)] for share in (0.5, 0.95, 0.99))
    return Percentiles(len(ordered), *ranks)


def _put(samples: list[float], fresh: Sequence[float]) -> None:
    samples.extend(fresh)
    if len(samples) > _MOST_SAMPLES:
        del samples[::2]
