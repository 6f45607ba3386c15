"""How far a consumer group is behind, in records and in seconds."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from millrace.contracts.errors import CannotReach
from millrace.kafka.clients import consumer_config
from millrace.kafka.waiting import Place
from millrace.settings import Settings

if TYPE_CHECKING:
    from confluent_kafka import Consumer

_CALL_SECONDS = 5.0


@dataclass(frozen=True)
class PartitionLag:
    """A partition as the group sees it. `committed` is the next offset to be read, None before the first commit;
    `end` is the first offset that a reader of committed records cannot read yet. Records that a transaction's markers
    stand for are counted until something is read behind them; a partition with nothing but markers left has lag 0."""

    topic: str
    partition: int
    committed: int | None
    begin: int
    end: int
    records: int
    seconds: float
    """Age of the oldest record that waits; 0 where none does."""


def lag_of(settings: Settings, group: str, topics: Sequence[str]) -> list[PartitionLag]:
    """Every partition of the topics, by topic and number; topics that are not there are left out.

    Raises:
        CannotReach: the broker does not answer.
    """
    from confluent_kafka import Consumer, KafkaException, TopicPartition

    consumer = Consumer(consumer_config(settings, group=group, enable_partition_eof=True))
    try:
        described = consumer.list_topics(timeout=_CALL_SECONDS).topics
        places = [
            TopicPartition(topic, partition)
            for topic in sorted(set(topics) & described.keys())
            for partition in sorted(described[topic].partitions)
        ]
        if not places:
            return []
        committed = _committed(consumer, places)
        marks = [consumer.get_watermark_offsets(place, timeout=_CALL_SECONDS) for place in places]
        facts = [
            (place.topic, place.partition, place.offset if place.offset >= 0 else None, low, high)
            for place, (low, high) in zip(committed, marks, strict=True)
        ]
        waiting = [(topic, part, max(at or 0, low)) for topic, part, at, low, high in facts if max(at or 0, low) < high]
        oldest = _oldest(consumer, waiting)
    except KafkaException as error:
        raise CannotReach(
            f"the lag of group {group} cannot be read at {settings.bootstrap}: {error.args[0].str()}",
            field="KAFKA_BOOTSTRAP",
            remedy="run `millrace status`, then `millrace doctor`",
        ) from error
    finally:
        consumer.close()
    return [_lag(fact, oldest) for fact in facts]


def _committed(consumer: "Consumer", places: list[Any]) -> list[Any]:
    from confluent_kafka import KafkaException

    deadline = time.monotonic() + _CALL_SECONDS
    while True:
        try:
            return consumer.committed(places, timeout=_CALL_SECONDS)  # type: ignore[no-any-return]
        except KafkaException as error:
            # while the group's coordinator is being chosen
            if "COORDINATOR" not in error.args[0].name() or time.monotonic() >= deadline:
                raise
            time.sleep(0.1)


def _lag(fact: tuple[str, int, int | None, int, int], oldest: dict[Place, int | None]) -> PartitionLag:
    topic, partition, committed, low, high = fact
    behind = max(0, high - max(committed or 0, low))
    first = oldest.get((topic, partition), -1)
    if first is None:
        # only a transaction's marker is left
        behind = 0
    seconds = max(0.0, time.time() - first / 1000) if behind and first is not None and first >= 0 else 0.0
    return PartitionLag(topic, partition, committed, low, high, behind, seconds)


def _oldest(consumer: "Consumer", waiting: list[tuple[str, int, int]]) -> dict[Place, int | None]:
    """Timestamp (ms) of the first record from each offset on; None where none follows, -1 where none was given."""
    from confluent_kafka import KafkaError, TopicPartition

    if not waiting:
        return {}
    left: dict[Place, Any] = {(topic, part): TopicPartition(topic, part, at) for topic, part, at in waiting}
    found: dict[Place, int | None] = {}
    deadline = time.monotonic() + _CALL_SECONDS
    consumer.assign(list(left.values()))
    while left and time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is None:
            continue
        place = (message.topic(), message.partition())
        if place not in left:
            continue
        if message.error() is None:
            found[place] = message.timestamp()[1]
        elif message.error().code() == KafkaError._PARTITION_EOF:
            found[place] = None
        else:
            continue
        consumer.incremental_unassign([left.pop(place)])
    return found
