"""Records whose handler met a transient failure, and when each is tried again."""

from dataclasses import dataclass

from millrace.kafka.records import Record

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0
"""Above any blip, and a person who repaired something does not wait longer than this."""

Place = tuple[str, int]
"""Topic and partition."""


@dataclass(frozen=True)
class Waiting:
    """A record that holds up its partition until `due` (monotonic seconds); `tries` were made so far."""

    record: Record
    tries: int
    due: float


def pause_seconds(tries: int, *, first: float = FIRST_SECONDS, longest: float = LONGEST_SECONDS) -> float:
    """How long to wait after the `tries`th failure: doubled each time, up to the longest."""
    return min(longest, first * 2.0 ** min(tries - 1, 32))


def place_of(record: Record) -> Place:
    """The record's topic and partition."""
    return record.coordinates.topic, record.coordinates.partition
