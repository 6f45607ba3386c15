"""What topics hold now: every committed record, from the first to the last at the time of the call."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from millrace.contracts.errors import CannotReach
from millrace.kafka.clients import admin_config, reader_config
from millrace.kafka.records import MessageRecord, Record
from millrace.kafka.topics import TopicFacts
from millrace.kafka.waiting import Place
from millrace.settings import Settings

if TYPE_CHECKING:
    from confluent_kafka import Message

_PATIENCE_SECONDS = 20.0
"""Without a record for so long the broker is taken to be away; above the 10 s that an open transaction can last."""


def snapshot(settings: Settings, topics: Sequence[TopicFacts]) -> Iterator[Record]:
    """The records, those of a partition in their order; memory holds what the client fetches ahead.

    The end of a partition is only told after a fetch that waited in vain, so empty ones are left out, one is left with
    its last record, and all are read at once.

    Raises:
        CannotReach: the broker does not answer.
    """
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    left = _ends(settings, topics)
    if not left:
        return
    ids = {topic.name: topic.topic_id for topic in topics}
    consumer = Consumer(reader_config(settings, enable_partition_eof=True))
    try:
        consumer.assign([TopicPartition(*place, OFFSET_BEGINNING) for place in left])
        while left:
            message = _next(consumer.poll, settings, next(iter(left))[0])
            place = message.topic(), message.partition()
            if place not in left:
                continue
            if message.error() is None:
                yield MessageRecord(message, ids[place[0]])
            if message.error() is not None or message.offset() + 1 >= left[place]:
                del left[place]
                consumer.incremental_unassign([TopicPartition(*place)])
    finally:
        consumer.close()


def record_at(settings: Settings, topic: TopicFacts, *, partition: int, offset: int) -> Record | None:
    """The record at this place, None when there is none (any more).

    Raises:
        CannotReach: the broker does not answer.
    """
    from confluent_kafka import Consumer, TopicPartition

    if partition >= topic.partitions:
        return None
    # an offset below the first one leads to the first, one above the last to the end; neither is the one asked for
    consumer = Consumer(reader_config(settings, enable_partition_eof=True) | {"auto.offset.reset": "latest"})
    try:
        consumer.assign([TopicPartition(topic.name, partition, offset)])
        message = _next(consumer.poll, settings, topic.name)
        ended = message.error() is not None or message.offset() != offset
        return None if ended else MessageRecord(message, topic.topic_id)
    finally:
        consumer.close()


def _ends(settings: Settings, topics: Sequence[TopicFacts]) -> dict[Place, int]:
    """Next offset of each partition that holds anything."""
    from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
    from confluent_kafka.admin import AdminClient, OffsetSpec

    places = [(topic.name, partition) for topic in topics for partition in range(topic.partitions)]
    if not places:
        return {}
    admin = AdminClient(admin_config(settings))
    firsts, ends = (
        admin.list_offsets(
            {TopicPartition(*place): spec for place in places},
            isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=_PATIENCE_SECONDS,
        )
        for spec in (OffsetSpec.earliest(), OffsetSpec.latest())
    )  # fmt: skip
    found: dict[Place, int] = {}
    for at, end in ends.items():
        try:
            first, last = firsts[at].result().offset, end.result().offset
        except KafkaException as error:
            raise _away(settings, at.topic, error.args[0].str()) from error
        if last > first:
            found[at.topic, at.partition] = last
    return found


def _next(poll: "Callable[[float], Message | None]", settings: Settings, topic: str) -> "Message":
    """A record, or what tells the end of a partition; `topic` is named where neither comes."""
    from confluent_kafka import KafkaError

    deadline = time.monotonic() + _PATIENCE_SECONDS
    problem: KafkaError | None = None
    while time.monotonic() < deadline:
        message = poll(0.5)
        if message is None:
            continue
        problem = message.error()
        if problem is None or problem.code() == KafkaError._PARTITION_EOF:
            return message
        if not problem.retriable():
            break
    raise _away(
        settings, topic, problem.str() if problem is not None else f"nothing came for {_PATIENCE_SECONDS:.0f} s"
    )


def _away(settings: Settings, topic: str, why: str) -> CannotReach:
    return CannotReach(
        f"topic {topic} at {settings.bootstrap} cannot be read: {why}",
        field="KAFKA_BOOTSTRAP",
        remedy="run `millrace status`, then `millrace doctor`, and the command again",
    )
