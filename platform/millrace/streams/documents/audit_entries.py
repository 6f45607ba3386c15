"""Entries of the audit trail: one line of canonical JSON each, chained by their hashes."""

import json
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from millrace.contracts.canonical import canonical_json, sha256_json
from millrace.contracts.errors import BadInput
from millrace.contracts.events import Sha256

NOTHING = "0" * 64
"""What the first entry follows."""


@dataclass(frozen=True)
class Head:
    """An entry named: its number from 1, its hash, and the offset of the byte behind it. Number 0 is no entry."""

    seq: int = 0
    sha256: str = NOTHING
    end: int = 0

    def __str__(self) -> str:
        return f"{self.seq}:{self.sha256}"


class Entry(BaseModel):
    """One line; `hash` is that of the canonical JSON of all the rest, `prev` the hash of the entry before."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    seq: int
    prev: Sha256
    at: str
    """UTC, ISO 8601."""
    about: str
    """What was asked for, such as a message's place; "trail" for an entry about the trail itself."""
    request: Sha256 | None
    response: Sha256 | None
    status: int | None
    outcome: str
    seconds: float
    hash: Sha256

    def line(self) -> bytes:
        """As the file holds it."""
        return (canonical_json(self.model_dump()) + "\n").encode()


def chained(head: Head, facts: dict[str, Any]) -> tuple[Entry, Head]:
    """The entry with these facts behind `head`, and the head after it."""
    body = {"seq": head.seq + 1, "prev": head.sha256, **facts}
    entry = Entry(**body, hash=sha256_json(body))
    return entry, Head(entry.seq, entry.hash, head.end + len(entry.line()))


def read_line(line: bytes) -> Entry:
    """The entry in a line, whose bytes are exactly those that were written and whose hash is that of its contents.

    Raises:
        ValueError: anything of it differs; says what.
    """
    try:
        entry = Entry.model_validate(json.loads(line))
    except (ValidationError, ValueError, RecursionError) as error:
        raise ValueError("the line is no entry") from error
    if entry.line() != line:
        raise ValueError("the line's bytes are not those that were written")
    body = entry.model_dump()
    claimed = body.pop("hash")
    if sha256_json(body) != claimed:
        raise ValueError("the entry's contents and its hash disagree")
    return entry


def read_head(text: str) -> Head:
    """The head in `SEQ:HASH`, as results carry it; its offset is not known.

    Raises:
        BadInput: it is not written so.
    """
    seq, _, sha256 = text.partition(":")
    if not (seq.isascii() and seq.isdigit() and len(seq) < 19 and len(sha256) == 64 and _is_hex(sha256)):
        raise BadInput(
            f"{text[:100]!r} is no head of an audit trail", field="head",
            remedy="give the number and the hash of an entry, as the header millrace-audit of a result holds them",
        )  # fmt: skip
    return Head(int(seq), sha256)


def _is_hex(text: str) -> bool:
    return set(text) <= set("0123456789abcdef")
