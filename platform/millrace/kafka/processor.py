"""What a stream's step is: records in, for each of them outputs or the error that it met."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from millrace.contracts.errors import MillraceError
from millrace.kafka.records import Headers, Record


class Output(NamedTuple):
    """A message to be sent. Made once per record, and a named tuple costs half of a frozen dataclass."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()


Result = Sequence[Output] | MillraceError
"""Outputs in the order they are to be sent (none is allowed), or why the record has none."""


class Processor(Protocol):
    """A step of a stream. It must be safe to call again with the same records: a crash or a rebalance does so."""

    def process(self, batch: Sequence[Record]) -> Sequence[Result]:
        """One result per record, in the records' order. Called from one thread, never twice at a time.

        A record whose result is a TerminalError becomes a dead letter; one whose result is a TransientError is given
        again later, and nothing of its partition overtakes it.

        Raises:
            TransientError: nothing of the batch could be done; all of it is given again later.
        """
