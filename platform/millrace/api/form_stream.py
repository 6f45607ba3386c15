"""Multipart forms read as they arrive: the file goes to its consumer chunk by chunk and is never held or spooled."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect, Request

from millrace.contracts.errors import BadInput, MillraceError, UnsupportedFormat

T = TypeVar("T")

CHUNK_BYTES = 1 << 20
_CHUNKS_IN_FLIGHT = 4
_MAX_FIELD_BYTES = 16_384
_MAX_PARTS = 32
# a client that is still sending when it is refused may never read the answer: take this much more from it first
_LINGER_BYTES = 64 << 20
_LINGER_SECONDS = 5.0


@dataclass
class _Part:
    name: str
    file_name: str | None
    value: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True)
class Form(Generic[T]):
    """The text fields of a form, and what became of its file."""

    fields: dict[str, str]
    file: T | None


class _Events:
    """Turns the parser's callbacks into a list of (part, bytes | None); None ends the part."""

    def __init__(self, boundary: bytes) -> None:
        self.ready: list[tuple[_Part, bytes | None]] = []
        self._parts = 0
        self._headers: dict[str, str] = {}
        self._name = self._value = b""
        self._part: _Part | None = None
        self.ended = False
        self.parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_end": self._finished,
            },
        )

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise BadInput(f"the form has more than {_MAX_PARTS} parts", field="body", remedy="send one file")
        self._headers = {}

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.decode("latin-1").lower()] = self._value.decode("latin-1")
        self._name = self._value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", ""))
        file_name = options.get(b"filename")
        self._part = _Part(_text(options.get(b"name", b"")), None if file_name is None else _text(file_name))

    def _data(self, data: bytes, start: int, end: int) -> None:
        assert self._part is not None
        self.ready.append((self._part, data[start:end]))

    def _end(self) -> None:
        assert self._part is not None
        self.ready.append((self._part, None))

    def _finished(self) -> None:
        self.ended = True


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


async def read_form(
    request: Request,
    consume: Callable[[str, Iterator[bytes]], T],
    *,
    file_field: str,
    check: Callable[[dict[str, str]], None],
    limiter: anyio.CapacityLimiter,
) -> Form[T]:
    """The form's fields and what `consume(file_name, chunks)` gave for its file.

    `consume` runs in a thread while the file arrives; `check` sees the fields known so far, before the file is
    taken, so that a bad one refuses the upload early.

    Raises:
        UnsupportedFormat: the request is no multipart form.
        BadInput: the form is broken, ends early, or has two files.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise UnsupportedFormat(
            "the request is not a multipart form",
            field="Content-Type",
            remedy="send it as curl -F file=@FILE -F user_id=… does",
        )
    body = request.stream()
    fields: dict[str, str] = {}
    transfer: _Transfer[T] | None = None
    try:
        async for part, data in _parts(body, boundary):
            if part.file_name is None:
                _collect(part, data, fields)
            elif part.name == file_field:
                if transfer is None:
                    check(fields)
                    transfer = _Transfer(part, consume, limiter)
                elif transfer.part is not part:
                    raise BadInput("the form has more than one file", field=file_field, remedy="send one file")
                await transfer.feed(data)
        file = None if transfer is None else await transfer.result()
    except ClientDisconnect:
        raise BadInput("the upload broke off before its end", field=file_field, remedy="send it again") from None
    except MillraceError:
        await _linger(body)
        raise
    finally:
        if transfer is not None:
            await transfer.abandon()
    return Form(fields, file)


async def _parts(body: AsyncIterator[bytes], boundary: bytes) -> AsyncIterator[tuple[_Part, bytes | None]]:
    try:
        events = _Events(boundary)
        async for chunk in body:
            events.parser.write(chunk)
            ready, events.ready = events.ready, []
            for event in ready:
                yield event
    except FormParserError as error:
        raise BadInput(f"the multipart form is broken: {error}", field="body", remedy="send it again") from error
    if not events.ended:
        raise BadInput("the multipart form ends too early", field="body", remedy="send it again")


def _collect(part: _Part, data: bytes | None, fields: dict[str, str]) -> None:
    if data is None:
        try:
            fields[part.name] = part.value.decode()
        except UnicodeDecodeError:
            raise BadInput(f"field {part.name!r} is not UTF-8", field=part.name, remedy="send text in UTF-8") from None
        return
    part.value += data
    if len(part.value) > _MAX_FIELD_BYTES:
        raise BadInput(
            f"field {part.name[:80]!r} is longer than {_MAX_FIELD_BYTES} bytes",
            field=part.name[:80],
            remedy="send the data as the file, with a file name",
        )


async def _linger(body: AsyncIterator[bytes]) -> None:
    taken, until = 0, time.monotonic() + _LINGER_SECONDS
    try:
        async with asyncio.timeout(_LINGER_SECONDS):
            async for chunk in body:
                taken += len(chunk)
                if taken > _LINGER_BYTES or time.monotonic() > until:
                    return
    except (TimeoutError, ClientDisconnect):
        return


class _Broken(Exception):
    """The sender stopped before the end of the file."""


class _Transfer(Generic[T]):
    """A file on its way from the event loop to a consumer in a thread."""

    def __init__(
        self, part: _Part, consume: Callable[[str, Iterator[bytes]], T], limiter: anyio.CapacityLimiter
    ) -> None:
        self.part = part
        self._buffer = bytearray()
        self._send: MemoryObjectSendStream[bytes]
        self._receive: MemoryObjectReceiveStream[bytes]
        self._send, self._receive = anyio.create_memory_object_stream[bytes](_CHUNKS_IN_FLIGHT)
        self._complete = False
        self._task = asyncio.create_task(self._run(consume, limiter))

    async def _run(self, consume: Callable[[str, Iterator[bytes]], T], limiter: anyio.CapacityLimiter) -> T:
        try:
            return await anyio.to_thread.run_sync(
                lambda: consume(self.part.file_name or "", self._chunks()), limiter=limiter
            )
        finally:
            self._receive.close()

    def _chunks(self) -> Iterator[bytes]:
        while True:
            try:
                yield anyio.from_thread.run(self._receive.receive)
            except anyio.EndOfStream:
                if not self._complete:
                    raise _Broken from None
                return

    async def feed(self, data: bytes | None) -> None:
        """Takes the next bytes, None at the end; raises what the consumer raised when it has given up."""
        if data is not None:
            self._buffer += data
        if data is None or len(self._buffer) >= CHUNK_BYTES:
            chunk, self._buffer = bytes(self._buffer), bytearray()
            try:
                if chunk:
                    await self._send.send(chunk)
            except anyio.BrokenResourceError:
                await self._task
        if data is None:
            self._complete = True
            self._send.close()

    async def result(self) -> T:
        """What the consumer gave, or what it raised."""
        return await self._task

    async def abandon(self) -> None:
        """Ends a consumer that still waits; it sees the file break off."""
        self._send.close()
        if not self._task.done():
            await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.exception()
