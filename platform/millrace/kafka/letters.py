"""Dead letters as they are read back: where they came from, why, and what they are about in common."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from millrace.contracts import topics as names
from millrace.contracts.canonical import sha256_json
from millrace.kafka.records import Headers, Record

_ID_DIGITS = 8
"""Of a cause: enough to tell thousands apart, short enough to be typed."""
_VARIABLE = re.compile(
    r"(?P<quoted>'[^']*'|\"[^\"]*\")|(?P<hex>\b(?=[0-9a-fA-F-]*\d)[0-9a-fA-F]{8}[0-9a-fA-F-]*\b)|(?P<number>\d+(?:\.\d+)?)"
)
_MARKS = {"quoted": "'…'", "hex": "#", "number": "#"}


@dataclass(frozen=True)
class Letter:
    """A dead letter with its story. `record` is the message in the dead-letter topic; headers are the original's.

    A message that carries no story of ours has "unknown" as stage and error, and its own place as its origin.
    """

    record: Record
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    stage: str
    error: str
    message: str
    attempt: str
    code_version: str
    headers: Headers

    @property
    def place(self) -> str:
        """Where the letter stands: dead-letter topic, partition and offset, as the command line takes it."""
        at = self.record.coordinates
        return f"{at.topic}/{at.partition}/{at.offset}"

    @property
    def origin_id(self) -> str:
        """The same for every letter of the same message; the timestamp tells a recreated topic's offsets apart."""
        return sha256_json([self.topic, self.partition, self.offset, self.timestamp_ms])

    @property
    def cause(self) -> tuple[str, str, str, str]:
        """Original topic, stage, error class and message without its numbers, ids and quotations."""
        return self.topic, self.stage, self.error, normalised(self.message)

    @property
    def cause_id(self) -> str:
        """Short name of the cause."""
        return sha256_json(self.cause)[:_ID_DIGITS]


@dataclass(frozen=True)
class Cluster:
    """Letters of one cause. Times are those of the letters, UTC; `example` is the place of the last one."""

    cause_id: str
    topic: str
    stage: str
    error: str
    message: str
    count: int
    replayed: int
    first_at: datetime
    last_at: datetime
    example: str


def letter_of(record: Record) -> Letter:
    """The letter in a record of a dead-letter topic."""
    raw: Mapping[str, bytes | None] = dict(record.raw_headers)
    told = {name: (value or b"").decode("utf-8", "replace") for name, value in raw.items() if name in _STORY}
    at = record.coordinates
    ours = all(told.get(name, "").isdecimal() for name in (names.DLQ_PARTITION, names.DLQ_OFFSET))
    stamp = told.get(names.DLQ_TIMESTAMP, "")
    return Letter(
        record=record,
        topic=told.get(names.DLQ_TOPIC, at.topic) if ours else at.topic,
        partition=int(told[names.DLQ_PARTITION]) if ours else at.partition,
        offset=int(told[names.DLQ_OFFSET]) if ours else at.offset,
        timestamp_ms=int(stamp) if ours and stamp.isdecimal() else record.timestamp_ms,
        stage=told.get(names.DLQ_STAGE, "unknown"),
        error=told.get(names.DLQ_ERROR, "unknown"),
        message=told.get(names.DLQ_MESSAGE, ""),
        attempt=told.get(names.DLQ_ATTEMPT, ""),
        code_version=told.get(names.DLQ_CODE_VERSION, ""),
        headers=tuple((name, value) for name, value in record.raw_headers if name not in _STORY),
    )


_STORY = frozenset(
    {
        names.DLQ_TOPIC, names.DLQ_PARTITION, names.DLQ_OFFSET, names.DLQ_TIMESTAMP, names.DLQ_STAGE, names.DLQ_ERROR,
        names.DLQ_MESSAGE, names.DLQ_ATTEMPT, names.DLQ_CODE_VERSION,
    }
)  # fmt: skip


def normalised(message: str) -> str:
    """The message with what differs from record to record (quotations, numbers, hashes, ids) replaced by a mark."""
    return _VARIABLE.sub(lambda found: _MARKS[str(found.lastgroup)], " ".join(message.split()))


def clusters(letters: Iterable[Letter], *, replayed: frozenset[str] = frozenset()) -> list[Cluster]:
    """One cluster per cause, the largest first; `replayed` holds the origin ids of letters that were sent again."""
    found: dict[str, Cluster] = {}
    for letter in letters:
        at = datetime.fromtimestamp(max(letter.record.timestamp_ms, 0) / 1000, UTC)
        again = int(letter.origin_id in replayed)
        known = found.get(letter.cause_id)
        topic, stage, error, message = letter.cause
        found[letter.cause_id] = Cluster(
            cause_id=letter.cause_id, topic=topic, stage=stage, error=error, message=message,
            count=1 + (known.count if known else 0),
            replayed=again + (known.replayed if known else 0),
            first_at=min(at, known.first_at) if known else at,
            last_at=max(at, known.last_at) if known else at,
            example=letter.place if known is None or at >= known.last_at else known.example,
        )  # fmt: skip
    return sorted(found.values(), key=lambda one: (-one.count, one.cause_id))


def of_cause(letters: Iterable[Letter], causes: Sequence[str]) -> Iterator[Letter]:
    """The letters of these causes; all of them when none is named."""
    return (letter for letter in letters if not causes or letter.cause_id in causes)
