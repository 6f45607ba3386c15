"""One tick of a Kafka sensor: wait for events, tell the new from the known, leave the unreadable to a dead letter."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from millrace.contracts.errors import TerminalError
from millrace.kafka.plan import plan_tick

if TYPE_CHECKING:
    from millrace.kafka.dead_letters import DeadLetters
    from millrace.kafka.records import Record
    from millrace.warehouse.store import Warehouse
    from resources.kafka import KafkaResource

logger = logging.getLogger(__name__)

TICK_SECONDS = 4.3
"""Longest tick. Dagster's own daemon looks for sensors to evaluate every 5 s; a tick that is still running then waits
for the next look, so that an event could wait for another 5 s. `warm_runs.daemon` looks every second."""
MAX_EVENTS = 50
"""Events of one tick. Each becomes a run, submitted within the tick; the rest waits for the next one."""

T = TypeVar("T")


@dataclass(frozen=True)
class Taken(Generic[T]):
    """What a tick took from its topic."""

    accepted: tuple[T, ...]
    cursor: str
    notes: tuple[str, ...]
    """What happened beside the accepted events, for the log and the skip message."""


def take_events(
    kafka: "KafkaResource",
    warehouse: "Warehouse",
    *,
    sensor: str,
    topic: str,
    cursor: str | None,
    read: "Callable[[Record], tuple[str, T] | None]",
    began: float,
    linger: float = 0.0,
) -> Taken[T]:
    """Waits for events of the topic and gives what `read` makes of each: (event id, value), or None to leave it.

    After a first event it waits `linger` seconds for those that were sent together with it.

    An event that another one with the same id came before is left out; the same event at the same place is given
    again, because Dagster may not have stored what it was given the last time. An event that `read` refuses with a
    terminal error goes to the dead-letter topic before the cursor passes it.

    Raises:
        CannotReach: broker or warehouse do not answer. Nothing is lost: the cursor stays where it was.
    """
    from millrace.warehouse.consumed import first_time, seen_at

    with kafka.reader(topic) as reader:
        plan = plan_tick(cursor, topic=topic, topic_id=reader.topic_id(), watermarks=reader.watermarks())
        left = max(0.0, began + TICK_SECONDS - time.monotonic())
        records = reader.read(plan.start.offsets, max_records=MAX_EVENTS, seconds=left)
        if linger and 0 < len(records) < MAX_EVENTS:
            behind = plan.start.after(map(place_of, records)).offsets
            records += reader.read(behind, max_records=MAX_EVENTS - len(records), seconds=linger)
    notes = list(plan.notes)
    accepted: list[T] = []
    dead_letters: DeadLetters | None = None
    for record in records:
        at = record.coordinates
        where = f"{at.topic}/{at.partition}/{at.offset}"
        try:
            found = read(record)
        except TerminalError as error:
            dead_letters = dead_letters or kafka.dead_letters()
            dead_letters.send(record, stage=sensor, error=error)
            notes.append(f"{where} went to the dead letters: {error}")
            continue
        if found is None:
            notes.append(f"{where} is taken by an outside worker")
            continue
        event_id, value = found
        with warehouse.transaction() as session:
            known = not first_time(session, consumer=sensor, event_id=event_id, at=at)
            elsewhere = known and seen_at(session, consumer=sensor, event_id=event_id) != at
        if elsewhere:
            notes.append(f"{where} repeats event {event_id}")
            continue
        accepted.append(value)
    for note in notes:
        logger.warning("kafka sensor note sensor=%s note=%s", sensor, note)
    return Taken(tuple(accepted), plan.start.after(map(place_of, records)).to_text(), tuple(notes))


def place_of(record: "Record") -> tuple[int, int]:
    """Partition and offset of a record."""
    return record.coordinates.partition, record.coordinates.offset
