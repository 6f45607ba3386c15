"""A batch's documents asked about side by side, until one shows that the server is away, or the process is to end."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from millrace.contracts.documents import LlmResult
from millrace.contracts.errors import BadInput, TerminalError, TransientError
from millrace.kafka.records import Record
from millrace.streams.documents.errors import DeadlineExceeded, Overloaded, ServerAway, ServerFailed, Stopping

Outcome = LlmResult | TransientError | TerminalError
"""A terminal error is the document's own."""

GRACE_SECONDS = 5.0
"""What requests under way get after a stop; the loop's `shutdown_seconds` of 8 hold the commit as well."""
_LOOK_SECONDS = 0.05
_FAILURES_IN_A_ROW = 3
"""Without a success in between: the rest of the batch is not sent to a server that answers nobody."""


@dataclass
class Asked:
    """What came of a batch: an outcome per record, and which of the failures are the records' own."""

    outcomes: list[Outcome | None]
    own_failures: list[int] = field(default_factory=list)
    """Positions of records that were asked about and failed by deadline or breakdown."""
    answered: bool = False
    """Whether the server gave at least one result."""


async def ask_all(
    records: Sequence[Record],
    ask: Callable[[Record], Awaitable[LlmResult]],
    *,
    at_once: int,
    stop: threading.Event,
    grace: float = GRACE_SECONDS,
) -> Asked:
    """Every record has an outcome; those that were not asked about carry the error that held them back.

    Raises:
        TerminalError: other than BadInput, which is no record's fault.
    """
    asked = Asked([None] * len(records))
    running = _Running(asked, stop)
    gate = asyncio.Semaphore(at_once)
    tasks = [asyncio.create_task(running.one(at, record, ask, gate)) for at, record in enumerate(records)]
    pending = set(tasks)
    until: float | None = None
    try:
        while pending:
            done, pending = await asyncio.wait(pending, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
            if stop.is_set():
                until = until or time.monotonic() + grace
                if time.monotonic() >= until:
                    break
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    asked.outcomes = [one if one is not None else _stopping() for one in asked.outcomes]
    return asked


class _Running:
    def __init__(self, asked: Asked, stop: threading.Event) -> None:
        self._asked = asked
        self._stop = stop
        self._held_back: TransientError | None = None
        self._in_a_row = 0

    async def one(
        self, at: int, record: Record, ask: Callable[[Record], Awaitable[LlmResult]], gate: asyncio.Semaphore
    ) -> None:
        async with gate:
            held_back = _stopping() if self._stop.is_set() else self._held_back
            if held_back is not None:
                self._asked.outcomes[at] = held_back
                return
            try:
                self._asked.outcomes[at] = await ask(record)
            except BadInput as error:
                self._asked.outcomes[at] = error
            except TransientError as error:
                self._asked.outcomes[at] = error
                self._failed(at, error)
            else:
                self._asked.answered, self._in_a_row = True, 0

    def _failed(self, at: int, error: TransientError) -> None:
        if isinstance(error, (ServerAway, Overloaded)):
            self._held_back = error
        elif isinstance(error, (DeadlineExceeded, ServerFailed)):
            self._asked.own_failures.append(at)
            self._in_a_row += 1
            if self._in_a_row >= _FAILURES_IN_A_ROW:
                self._held_back = error
        else:
            # the disk, say: no other document fares better
            self._held_back = error


def _stopping() -> Stopping:
    return Stopping("the process ends; the document is read again at the next start")
