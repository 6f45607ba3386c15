"""The encoding of a text file, found by reading all of it, and the same text in UTF-8."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

from millrace.contracts.canonical import CHUNK_BYTES
from millrace.contracts.errors import BadInput, UnsupportedFormat

Encoding = Literal["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be", "latin-1", "cp1252"]

# bytes that are control characters in Latin-1 and letters in Windows-1252, which calls itself Latin-1 everywhere
_C1 = bytes(range(0x80, 0xA0))


def encoding_of(path: Path) -> Encoding:
    """The encoding: a byte order mark decides; else UTF-8 when all of it is; else Latin-1 (or Windows-1252).

    Raises:
        BadInput: some lines are UTF-8 and others are not; names the first of each.
        UnsupportedFormat: the text holds NUL bytes; names the line.
    """
    with path.open("rb") as stream:
        head = stream.read(3)
        stream.seek(0)
        if head.startswith(codecs.BOM_UTF16_LE):
            return "utf-16-le"
        if head.startswith(codecs.BOM_UTF16_BE):
            return "utf-16-be"
        seen = _look(stream)
    if seen.broken_line is None:
        return "utf-8-sig" if head == codecs.BOM_UTF8 else "utf-8"
    if head == codecs.BOM_UTF8 or seen.utf8_line is not None:
        marked = "the byte order mark" if head == codecs.BOM_UTF8 else f"line {seen.utf8_line}"
        raise BadInput(
            f"the file mixes encodings: {marked} says UTF-8, and line {seen.broken_line} is not UTF-8",
            field="file",
            remedy="save the whole file in one encoding, UTF-8 at best",
        )
    return "cp1252" if seen.has_c1 else "latin-1"


def to_utf8(source: Path, target: Path, encoding: Encoding) -> None:
    """Writes the text to the target in UTF-8 without a byte order mark.

    Raises:
        BadInput: bytes that the encoding does not have; names the line.
    """
    decoder = codecs.getincrementaldecoder("utf-16" if encoding.startswith("utf-16") else encoding)()
    lines = 0
    with source.open("rb") as stream, target.open("w", encoding="utf-8", newline="") as output:
        while True:
            chunk = stream.read(CHUNK_BYTES)
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                raise BadInput(
                    f"the file is not {encoding.upper()} near line {lines + 1}: {error.reason}",
                    field="file",
                    remedy="save the file in UTF-8",
                ) from error
            if "\x00" in text:
                raise _nul(lines + text[: text.index("\x00")].count("\n") + 1)
            lines += text.count("\n")
            output.write(text)
            if not chunk:
                return


@dataclass
class _Seen:
    utf8_line: int | None = None
    broken_line: int | None = None
    has_c1: bool = False
    lines: int = field(default=0)


def _look(stream: BinaryIO) -> _Seen:
    seen = _Seen()
    for block in _blocks(stream):
        if b"\x00" in block:
            raise _nul(seen.lines + block[: block.index(b"\x00")].count(b"\n") + 1)
        if not block.isascii():
            _judge(block.removeprefix(codecs.BOM_UTF8) if seen.lines == 0 else block, seen)
        seen.lines += block.count(b"\n")
    return seen


def _judge(block: bytes, seen: _Seen) -> None:
    # the whole block at once; line by line only where it is not UTF-8, or to name the first line that is
    try:
        block.decode()
    except UnicodeDecodeError:
        seen.has_c1 = seen.has_c1 or len(block.translate(None, _C1)) != len(block)
    else:
        if seen.utf8_line is not None or block.isascii():
            return
    for number, line in enumerate(block.split(b"\n"), start=seen.lines + 1):
        if line.isascii():
            continue
        try:
            line.decode()
        except UnicodeDecodeError:
            seen.broken_line = seen.broken_line or number
        else:
            seen.utf8_line = seen.utf8_line or number
        if seen.broken_line and seen.utf8_line:
            return


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    # blocks end at a line's end, so that no character is cut; a line longer than a block is cut at a character
    rest = b""
    while chunk := stream.read(CHUNK_BYTES):
        block = rest + chunk
        end = block.rfind(b"\n") + 1
        if end == 0:
            end = _whole_characters(block)
        yield block[:end]
        rest = block[end:]
    if rest:
        yield rest


def _whole_characters(block: bytes) -> int:
    # a UTF-8 character has at most 4 bytes: step back over the continuation bytes of the last one
    end = len(block)
    while end > len(block) - 4 and end > 0 and block[end - 1] & 0xC0 == 0x80:
        end -= 1
    return end - 1 if end > 0 and block[end - 1] >= 0xC0 else end


def _nul(line: int) -> UnsupportedFormat:
    return UnsupportedFormat(
        f"line {line} holds a NUL byte, as no text does",
        field="file",
        remedy="send CSV (comma, semicolon or tab) or Parquet; UTF-16 needs a byte order mark",
    )
