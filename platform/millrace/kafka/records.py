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


class MessageRecord(Record):
    """The record in a message that carries no error, its parts taken out when they are asked for.

    A loop of a hundred thousand records a second has 10 µs for each, and building a `Record` takes half of them.
    """

    def __init__(self, message: "Message", topic_id: str) -> None:
        self.__dict__["_message"] = message
        self.__dict__["_topic_id"] = topic_id

    @property
    def coordinates(self) -> Coordinates:
        """Where the message stands."""
        message: Message = self.__dict__["_message"]
        return Coordinates(message.topic(), self.__dict__["_topic_id"], message.partition(), message.offset())

    @property
    def key(self) -> bytes | None:
        """The message's key."""
        return self.__dict__["_message"].key()  # type: ignore[no-any-return]

    @property
    def raw_value(self) -> bytes | None:
        """The payload as it came."""
        return self.__dict__["_message"].value()  # type: ignore[no-any-return]

    @property
    def timestamp_ms(self) -> int:
        """Milliseconds since 1970; -1 without one."""
        return self.__dict__["_message"].timestamp()[1]  # type: ignore[no-any-return]

    @property
    def raw_headers(self) -> Headers:
        """As they came, repeated names included."""
        return self._read_headers[0]

    @property
    def headers_unreadable(self) -> bool:
        """Whether the client could not give the headers."""
        return self._read_headers[1]

    @cached_property
    def _read_headers(self) -> tuple[Headers, bool]:
        return headers_of(self.__dict__["_message"])


def headers_of(message: "Message") -> tuple[Headers, bool]:
    """The headers as they came, and whether the client could not give them."""
    try:
        headers = _headers(message) or ()
    except SystemError:
        return (), True
    return tuple((name, _as_bytes(value)) for name, value in headers), False


def record_of(message: "Message", *, topic_id: str) -> Record:
    """The record in a message of confluent-kafka that carries no error."""
    _, timestamp = message.timestamp()
    headers, unreadable = headers_of(message)
    return Record(
        coordinates=Coordinates(message.topic(), topic_id, message.partition(), message.offset()),
        key=message.key(),
        raw_value=message.value(),
        raw_headers=headers,
        timestamp_ms=timestamp,
        headers_unreadable=unreadable,
    )


def _as_bytes(value: str | bytes | None) -> bytes | None:
    return value.encode("utf-8") if isinstance(value, str) else value
