"""One process of a stream: the loop on a thread of its own, so that an interrupt of this one drains it."""

import logging
import threading
import time
from dataclasses import dataclass
from typing import Protocol

from millrace.contracts.errors import CannotReach
from millrace.contracts.topics import dead_letter_topic
from millrace.kafka.lag import PartitionLag, lag_of
from millrace.kafka.stream_loop import StreamLoop
from millrace.kafka.stream_options import Totals
from millrace.kafka.topics import create_topics
from millrace.settings import Settings
from millrace.streams.checkpoint import Checkpoint, Checkpoints
from millrace.streams.meter import Meter
from millrace.streams.work import StreamWork

_LOOK_SECONDS = 0.2
"""Between two looks at whether the loop has ended."""

_log = logging.getLogger(__name__)


class Watch(Protocol):
    """Who is told of a running stream, and may end it."""

    def beat(self) -> str | None:
        """Called every `beat_seconds`; why the stream should end, None to go on."""
        ...

    def checkpoint(self, found: Checkpoint) -> None:
        """Called every `checkpoint_seconds`, and once after the end."""
        ...


@dataclass(frozen=True)
class Rhythm:
    """How often what happens, in seconds; after `longest` the stream ends for its successor to load new code."""

    beat: float
    checkpoint: float
    longest: float


@dataclass(frozen=True)
class Ending:
    """How a stream ended without an error."""

    why: str
    totals: Totals


def run_stream(settings: Settings, work: StreamWork, watch: Watch, *, rhythm: Rhythm) -> Ending:
    """Runs until the watch or the time ends it; what is in work is then committed, and the last checkpoint told.

    An exception raised in this thread (an interrupt) ends it in the same way, and is raised again afterwards: within
    the options' `shutdown_seconds` and a little more.

    Raises:
        MillraceError: whatever ended the loop by itself.
    """
    running = _Running(settings, work, watch)
    try:
        why = running.until_ended(rhythm)
    except BaseException:
        running.drain()
        raise
    finally:
        work.step.close()
    if running.raised is not None:
        raise running.raised
    return Ending(why, running.loop.totals)


class _Running:
    def __init__(self, settings: Settings, work: StreamWork, watch: Watch) -> None:
        self._settings = settings
        self._work = work
        self._watch = watch
        self._meter = Meter(work.step)
        self._checkpoints = Checkpoints()
        self._stop = threading.Event()
        self.loop = StreamLoop(settings, work.options, self._meter, on_step=self._meter.on_step)
        self.raised: BaseException | None = None
        # not the thread's own `join`: one that an exception interrupts takes the thread for ended (Python 3.11)
        self._ended = threading.Event()
        threading.Thread(target=self._run, name=f"loop-{work.options.member}", daemon=True).start()

    def until_ended(self, rhythm: Rhythm) -> str:
        began = beat_at = told_at = time.monotonic()
        why = "its time was over"
        while not self._ended.wait(_LOOK_SECONDS):
            self._work.step.committed(self.loop.committed)
            now = time.monotonic()
            reason = None
            if now - beat_at >= rhythm.beat:
                beat_at, reason = now, self._watch.beat()
            if now - told_at >= rhythm.checkpoint:
                told_at = now
                self._watch.checkpoint(self.snapshot())
            if reason or now - began >= rhythm.longest:
                why = reason or why
                self.drain()
                return why
        self._work.step.committed(self.loop.committed)
        self._watch.checkpoint(self.snapshot())
        return why

    def drain(self) -> None:
        """Lets the loop commit what is in work, tells the last checkpoint; a second interrupt does not cut it short."""
        self._stop.set()
        self._work.step.stopping()
        until = time.monotonic() + self._work.options.shutdown_seconds + 1.0
        while not self._ended.is_set() and time.monotonic() < until:
            try:
                self._ended.wait(_LOOK_SECONDS)
            except BaseException as error:  # noqa: BLE001 (the first interrupt is raised when this is done)
                _log.warning("stream.interrupted_again member=%s error=%r", self._work.options.member, error)
        if self.raised is not None:
            _log.error("stream.drain_failed member=%s error=%s", self._work.options.member, self.raised)
        self._work.step.committed(self.loop.committed)
        # without the lag: a broker that is away must not use up the time
        self._watch.checkpoint(self.snapshot(ask=False))

    def snapshot(self, *, ask: bool = True) -> Checkpoint:
        committed_at = self.loop.committed_at
        return self._checkpoints.make(
            self.loop.totals,
            self.loop.committed,
            self._meter.take(),
            facts=self._work.step.facts(),
            lag=self._lag() if ask else None,
            commit_age=None if committed_at is None else time.monotonic() - committed_at,
        )

    def _lag(self) -> list[PartitionLag] | None:
        try:
            return lag_of(self._settings, self._work.options.group, self._work.options.topics)
        except CannotReach as error:
            _log.warning("stream.lag_unknown member=%s error=%s", self._work.options.member, error)
            return None

    def _run(self) -> None:
        names = [name for topic in self._work.topics for name in (topic, dead_letter_topic(topic))]
        try:
            # here, because a call to a broker that is away takes longer than an interrupt may wait
            create_topics(self._settings, names)
            self.loop.run(stop=self._stop)
        except BaseException as error:  # noqa: BLE001 (raised in the thread that waits)
            self.raised = error
        finally:
            self._ended.set()
