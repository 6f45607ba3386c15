"""What one tick of a Kafka sensor reads, and where the next one goes on: pure, so that every case can be tested."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

CURSOR_VERSION = 1


@dataclass(frozen=True)
class Watermarks:
    """First offset that a partition still has, and the one that its next record will get."""

    low: int
    high: int


@dataclass(frozen=True)
class Cursor:
    """The next offset to read, partition by partition, of the topic with this id."""

    topic_id: str
    offsets: Mapping[int, int]

    def to_text(self) -> str:
        """The cursor as Dagster stores it: versioned JSON, the same text for the same cursor."""
        offsets = {str(partition): self.offsets[partition] for partition in sorted(self.offsets)}
        return json.dumps({"version": CURSOR_VERSION, "topic_id": self.topic_id, "offsets": offsets})

    def after(self, positions: Iterable[tuple[int, int]]) -> "Cursor":
        """The cursor behind records read at these (partition, offset); it never goes back."""
        offsets = dict(self.offsets)
        for partition, offset in positions:
            offsets[partition] = max(offsets.get(partition, 0), offset + 1)
        return Cursor(self.topic_id, offsets)


@dataclass(frozen=True)
class Gap:
    """Records that can no longer be read. `first` to `last`, both included, are gone."""

    partition: int
    first: int
    last: int

    @property
    def count(self) -> int:
        """How many offsets are gone."""
        return self.last - self.first + 1


@dataclass(frozen=True)
class TickPlan:
    """Where a tick begins to read. `waiting` counts the offsets that are there to be read."""

    start: Cursor
    waiting: int
    gaps: tuple[Gap, ...] = ()
    added: tuple[int, ...] = ()
    """Partitions that the cursor did not know: all of them on a first tick."""
    recreated: bool = False
    """The cursor was about a topic of the same name that is gone."""
    notes: tuple[str, ...] = field(default=())
    """What an operator should read, one sentence each."""


def read_cursor(text: str | None) -> Cursor | None:
    """The cursor behind the stored text; None when there is none or it is not one of this version."""
    if not text:
        return None
    try:
        value = json.loads(text)
        if value["version"] != CURSOR_VERSION:
            return None
        offsets = {int(partition): int(offset) for partition, offset in value["offsets"].items()}
        return Cursor(str(value["topic_id"]), offsets)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def plan_tick(text: str | None, *, topic: str, topic_id: str, watermarks: Mapping[int, Watermarks]) -> TickPlan:
    """Where to read each partition from, given the stored cursor and what the broker has.

    Nothing known of a partition means its first record: events are never skipped because a sensor is new. A cursor
    about another topic id means the same for every partition, because a recreated topic counts from zero again.
    """
    cursor = read_cursor(text)
    notes: list[str] = []
    if text and cursor is None:
        notes.append(f"the stored cursor of {topic} cannot be read; reading from the first record that is there")
    recreated = cursor is not None and cursor.topic_id != topic_id
    if recreated:
        notes.append(f"{topic} was recreated; reading the new topic from its first record")
    known = {} if cursor is None or recreated else cursor.offsets

    offsets: dict[int, int] = {}
    gaps: list[Gap] = []
    for partition, marks in sorted(watermarks.items()):
        wanted = known.get(partition, marks.low)
        if wanted < marks.low:
            gap = Gap(partition, wanted, marks.low - 1)
            gaps.append(gap)
            notes.append(
                f"{gap.count} records of {topic}/{partition} (offsets {gap.first} to {gap.last}) were removed by "
                "retention before they were read; what they asked for has not happened"
            )
        if wanted > marks.high:
            notes.append(
                f"{topic}/{partition} ends at {marks.high}, before the cursor at {wanted}: the broker lost records; "
                "going on from its end"
            )
        offsets[partition] = min(max(wanted, marks.low), marks.high)
    return TickPlan(
        start=Cursor(topic_id, offsets),
        waiting=sum(marks.high - offsets[partition] for partition, marks in watermarks.items()),
        gaps=tuple(gaps),
        added=tuple(partition for partition in sorted(watermarks) if partition not in known),
        recreated=recreated,
        notes=tuple(notes),
    )


def run_key(*, topic: str, topic_id: str, partition: int, offset: int) -> str:
    """The key under which Dagster starts one run for one event, however often the event is seen."""
    return f"{topic}/{topic_id}/{partition}/{offset}"
