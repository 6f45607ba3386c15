"""The loop of every stream: a batch in, its outputs and its offsets out in one transaction, until told to stop.

Three batches are on their way at most: one is gathered, one is processed on a thread of its own, one is committed on
another. Whoever reads the outputs sees the batches in their order all the same: a transaction begins when the one
before it is committed.
"""

import logging
import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version

from millrace.contracts.errors import CannotReach
from millrace.kafka.breaker import Breaker
from millrace.kafka.commits import Commits
from millrace.kafka.committers import MustAbort, committer_of
from millrace.kafka.dead_letter_share import DeadLetterShare
from millrace.kafka.garbage import Garbage
from millrace.kafka.intake import Intake
from millrace.kafka.jobs import Job, Settled, joined, settle, work_on
from millrace.kafka.presence import Presence
from millrace.kafka.processor import Processor
from millrace.kafka.stream_options import Step, StreamOptions, Totals
from millrace.kafka.waiting import Place, place_of
from millrace.kafka.worker import Worker
from millrace.settings import Settings

_IDLE_SECONDS = 0.1
"""Longest wait for a record: a stop is noticed within this time."""
_BUSY_SECONDS = 0.005
"""The same while a batch is processed: its end is noticed within this time."""
_PAUSE_AFTER_SECONDS = 1.0
"""How long a full intake waits for the step before it pauses its partitions; far below the five minutes after which
the group drops a consumer that does not poll. Pausing throws away what was fetched ahead."""
_RUINED = ("UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "TOPIC_AUTHORIZATION_FAILED", "MSG_SIZE_TOO_LARGE",
           "INVALID_RECORD")  # fmt: skip
"""Failures of an output that meet the same batch again after a rewind."""

_log = logging.getLogger(__name__)


class StreamLoop:
    """Consumes, processes, and commits outputs with offsets, in order per partition.

    One processor, one slot, one run: make a new one to run again. `on_step` hears of every checkpoint step, from
    whichever thread reaches it.
    """

    def __init__(
        self,
        settings: Settings,
        options: StreamOptions,
        processor: Processor,
        *,
        on_step: Callable[[Step], None] = lambda _: None,
    ) -> None:
        self._options = options
        self._processor = processor
        self._on_step = on_step
        self._version = settings.code_version or version("millrace")
        self._presence = Presence(settings, options)
        self._committer = committer_of(settings, options, on_step=on_step)
        self._intake = Intake(settings, options, on_change=self._void, on_error=self._presence.trouble)
        self._worker: Worker[tuple[int, Settled]] = Worker(f"stream-{options.member}")
        self._commits = Commits(self._committer, member=options.member)
        self._breaker = Breaker(threshold=options.breaker_failures, first_pause=options.first_pause, draw=random.random)
        self._share = DeadLetterShare(
            limit=options.dead_letter_share, window=options.dead_letter_window, minimum=options.dead_letter_minimum
        )
        self._epoch = 0
        self._held: Job | None = None
        self._in_work = 0
        self._failing_since: float | None = None
        self._shutdown = math.inf
        self._wanted: int | None = None
        self.totals = Totals()

    @property
    def committed(self) -> dict[Place, int]:
        """Next offset of each partition that this run has committed. May be read from any thread."""
        return self._commits.ends

    @property
    def committed_at(self) -> float | None:
        """Monotonic time of the last commit; None before the first."""
        return self._commits.committed_at

    def run(
        self, *, count: int | None = None, timeout: float | None = None, stop: threading.Event | None = None
    ) -> Totals:
        """What was done, when `count` records are committed, `timeout` seconds are over or `stop` is set.

        The batch in work is finished and committed within `shutdown_seconds` of the stop, or left for the next start.

        Raises:
            CannotReach: no broker answered, or no transaction succeeded, for `give_up_seconds`.
            Replaced: another process runs with the same slot.
            TooManyDeadLetters: the share of dead letters is above its limit.
            Exception: what the processor raised beside errors of ours; nothing of that batch is committed.
        """
        began, stop = time.monotonic(), stop or threading.Event()
        self._wanted = count
        try:
            self._committer.open(began + self._options.give_up_seconds)
            self._intake.subscribe()
            _log.info("stream.started member=%s topics=%s", self._options.member, ",".join(self._options.topics))
            with Garbage() as garbage:
                while not stop.is_set() and (timeout is None or time.monotonic() - began < timeout):
                    if self._wanted is not None and self.totals.records >= self._wanted:
                        break
                    self._turn()
                    garbage.between()
                self._drain()
        except BaseException as error:
            _log.error("stream.ended member=%s error=%s message=%s", self._options.member, type(error).__name__, error)
            raise
        finally:
            self._worker.close()
            self._commits.close()
            self._intake.close()
        _log.info("stream.stopped member=%s totals=%s", self._options.member, self.totals)
        return self.totals

    def _turn(self) -> None:
        if self._commits.wait(0):
            self._take_commit()
        if not self._commits.busy and self._worker.wait(0):
            self._finish()
        self._submit(last=self._room() <= 0)
        self._read(self._room())
        self._presence.check()

    def _room(self) -> float:
        """How many records may be read before the run has as many as it shall have."""
        return math.inf if self._wanted is None else self._wanted - self.totals.records - self._flying

    @property
    def _flying(self) -> int:
        """Records that were read and are not committed."""
        return (
            len(self._intake) + self._in_work + self._commits.records + (len(self._held.records) if self._held else 0)
        )

    def _submit(self, *, last: bool) -> None:
        if self._worker.busy:
            return
        due = time.monotonic() >= self._breaker.due
        if self._held is not None and due:
            job, self._held = self._held, None
            self._begin(job, most=1 if self._breaker.open else None)
        elif not self._breaker.open and (self._intake.full or self._intake.waited >= self._options.interval or last):
            held = set(self._held.ends) if self._held else set()
            fresh = self._intake.take(but=held)
            if fresh is not None:
                self._on_step(Step.CONSUMED)
                self._begin(fresh, most=None)

    def _begin(self, job: Job, *, most: int | None) -> None:
        epoch, self._in_work = self._epoch, len(job.records)

        def work() -> tuple[int, Settled]:
            done, progress = work_on(job, self._processor, most=most)
            return epoch, settle(done, stage=self._options.group, code_version=self._version, progress=progress)

        self._worker.submit(work)

    def _read(self, most: float) -> None:
        if most <= 0 or self._intake.full or self._breaker.open:
            # what is full empties when the step is done: only a long step, or a wait, is worth a pause
            if not (self._commits if self._commits.busy else self._worker).wait(_PAUSE_AFTER_SECONDS):
                self._intake.stand_still(_BUSY_SECONDS if self._worker.busy else self._patience())
            return
        if self._flying < self._options.batch_records:
            self._intake.go_on()
        self._intake.read(most=int(min(most, 1 << 20)), seconds=self._patience())

    def _patience(self) -> float:
        if self._worker.busy or self._commits.busy:
            return _BUSY_SECONDS
        waits = [_IDLE_SECONDS]
        if self._held is not None:
            waits.append(self._breaker.due - time.monotonic())
        if len(self._intake):
            waits.append(self._options.interval - self._intake.waited)
        return max(0.0, min(waits))

    def _finish(self) -> None:
        self._in_work = 0
        epoch, settled = self._worker.take()
        if epoch != self._epoch:
            # another has these partitions, or the transaction before this one was aborted
            return
        self._on_step(Step.PROCESSED)
        self._share.admit(settled.records, settled.dead_letters, cause=settled.cause)
        if settled.records:
            self._commits.begin(settled, self._intake.consumer, self._until)
        self._hold(settled)

    def _hold(self, settled: Settled) -> None:
        job = settled.held
        if job is None:
            self._breaker.succeeded()
            self._intake.hold(set(self._held.ends) if self._held else ())
            return
        now = time.monotonic()
        if settled.transient is None:
            # a probe went well: the rest is tried at once
            self._breaker.succeeded()
            self._breaker.due = now
        else:
            tries = 1 if settled.records else job.tries
            pause = self._breaker.failed(
                now, tries=tries, progress=settled.progress, retry_after=settled.transient.retry_after
            )
            job = replace(job, tries=tries)
            self.totals = replace(self.totals, retried=self.totals.retried + 1)
            _log.warning(
                "stream.waiting member=%s records=%d at=%s tries=%d pause_s=%.2f breaker=%s error=%s",
                self._options.member, len(job.records), place_of(job.records[0]), tries, pause,
                "open" if self._breaker.open else "closed", settled.transient,
            )  # fmt: skip
        self._held = job if self._held is None else joined(self._held, job)
        self._intake.hold(set(self._held.ends))

    def _take_commit(self) -> None:
        try:
            settled = self._commits.take(self._intake.consumer)
        except MustAbort as abort:
            self._rewind(abort, self._until)
            return
        self._failing_since = None
        self._presence.seen()
        self.totals = replace(
            self.totals,
            records=self.totals.records + settled.records,
            outputs=self.totals.outputs + len(settled.outputs) - settled.dead_letters,
            dead_letters=self.totals.dead_letters + settled.dead_letters,
            transactions=self.totals.transactions + 1,
        )

    def _rewind(self, abort: MustAbort, until: float) -> None:
        _log.warning("stream.aborted member=%s error=%s", self._options.member, abort)
        self._committer.abort(until)
        self.totals = replace(self.totals, aborted=self.totals.aborted + 1)
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        if abort.problem.name() in _RUINED or now - self._failing_since > self._options.give_up_seconds:
            raise CannotReach(
                f"stream {self._options.member} cannot commit: {abort}; the batch was aborted and is not lost",
                remedy="run `millrace topics list` to see whether the output topic and its dead-letter topic are there "
                "and take messages of this size, then start the stream again",
            ) from abort
        self._void()
        self._presence.until_answered(self._intake.rewind, until)

    def _drain(self) -> None:
        self._shutdown = time.monotonic() + self._options.shutdown_seconds
        self._end_commit()
        if not self._commits.busy and self._worker.wait(self._left_seconds):
            self._finish()
            self._end_commit()
        elif self._worker.busy:
            self._warn_left("the step", self._in_work)

    def _end_commit(self) -> None:
        if self._commits.wait(self._left_seconds):
            self._take_commit()
        elif self._commits.busy:
            self._warn_left("the commit", self._commits.records)

    @property
    def _until(self) -> float:
        return min(time.monotonic() + self._options.give_up_seconds, self._shutdown)

    @property
    def _left_seconds(self) -> float:
        return max(0.0, self._shutdown - time.monotonic())

    def _warn_left(self, what: str, records: int) -> None:
        _log.warning(
            "stream.left_unfinished member=%s records=%d: %s did not end in time; they are read again unless it does",
            self._options.member, records, what,
        )  # fmt: skip

    def _void(self) -> None:
        """What was read and not committed is another's, or is read again.

        A commit on its way ends first: its offsets count only as long as the partitions are ours.
        """
        self._commits.wait(self._left_seconds)
        self._epoch += 1
        self._held = None
        self._intake.clear()
