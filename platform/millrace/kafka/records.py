"""A message as our code sees it, whatever client brought it."""

from dataclasses import dataclass, field
from functools import cached_property
from operator import methodcaller
from typing import TYPE_CHECKING

from millrace.contracts.errors import BadInput
from millrace.contracts.task import Coordinates

if TYPE_CHECKING:
    from confluent_kafka import Message

# For a header name that is no UTF-8, confluent-kafka 2.16 gives a list with holes and an exception set at once. A call
# from C makes a SystemError of it; `message.headers()` in code that is warm does not, and the next line raises.
_headers = methodcaller("headers")

Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True)
class Record:
    """One message. `raw_headers` are as they came, repeated names included; no timestamp is -1."""

    coordinates: Coordinates
    key: bytes | None
    raw_value: bytes | None
    raw_headers: Headers = field(default=())
    timestamp_ms: int = -1
    headers_unreadable: bool = False
    """The client could not give the headers (a name that is no UTF-8); none of them is in `raw_headers`."""

    @property
    def value(self) -> bytes:
        """The payload; empty for a message without one."""
        return self.raw_value or b""

    @cached_property
    def headers(self) -> dict[str, str]:
        """Header name → value as text; the last of a repeated name, bytes that are no UTF-8 replaced.

        Raises:
            BadInput: the headers cannot be read, so that nobody knows what they ask for.
        """
        if self.headers_unreadable:
            raise BadInput("a header's name is not UTF-8", field="headers", remedy="send header names in UTF-8")
        return {name: (value or b"").decode("utf-8", "replace") for name, value in self.raw_headers}


def record_of(message: "Message", *, topic_id: str) -> Record:
    """The record in a message of confluent-kafka that carries no error."""
    _, timestamp = message.timestamp()
    try:
        headers, unreadable = _headers(message) or (), False
    except SystemError:
        headers, unreadable = (), True
    return Record(
        coordinates=Coordinates(message.topic(), topic_id, message.partition(), message.offset()),
        key=message.key(),
        raw_value=message.value(),
        raw_headers=tuple((name, _as_bytes(value)) for name, value in headers),
        timestamp_ms=timestamp,
        headers_unreadable=unreadable,
    )


def _as_bytes(value: str | bytes | None) -> bytes | None:
    return value.encode("utf-8") if isinstance(value, str) else value
