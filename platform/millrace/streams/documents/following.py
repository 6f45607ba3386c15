"""Results as they come, without a consumer group."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

from millrace.contracts.errors import CannotReach, NotFound
from millrace.kafka.clients import reader_config
from millrace.kafka.records import record_of
from millrace.kafka.topics import describe_topics
from millrace.settings import Settings

_POLL_SECONDS = 0.2


def follow_results(
    settings: Settings, *, stop: threading.Event, from_beginning: bool = False, timeout: float | None = None
) -> Iterator[dict[str, Any]]:
    """Each result as its JSON, until `stop` is set or `timeout` seconds are over.

    A message of the topic that is no result comes as {"unreadable": place}.

    Raises:
        NotFound: there is no such topic.
        CannotReach: the broker does not answer.
    """
    from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, TopicPartition

    topic = settings.topics.llm_results
    found = describe_topics(settings, [topic])
    if not found:
        raise NotFound(f"topic {topic} is not there", field="OUTPUT_TOPIC", remedy="run `millrace llm run` first")
    start = OFFSET_BEGINNING if from_beginning else OFFSET_END
    consumer = Consumer(reader_config(settings) | {"auto.offset.reset": "earliest"})
    until = None if timeout is None else time.monotonic() + timeout
    try:
        consumer.assign([TopicPartition(topic, partition, start) for partition in range(found[0].partitions)])
        while not stop.is_set() and (until is None or time.monotonic() < until):
            message = consumer.poll(_POLL_SECONDS)
            if message is None:
                continue
            problem = message.error()
            if problem is not None:
                if problem.retriable():
                    continue
                raise KafkaException(problem)
            record = record_of(message, topic_id=found[0].topic_id)
            at = record.coordinates
            try:
                value = json.loads(record.value)
            except (ValueError, RecursionError):
                value = None
            yield value if isinstance(value, dict) else {"unreadable": f"{at.topic}/{at.partition}/{at.offset}"}
    except KafkaException as error:
        raise CannotReach(
            f"topic {topic} at {settings.bootstrap} cannot be read: {error.args[0].str()}",
            field="KAFKA_BROKERS",
            remedy="run `millrace llm doctor`",
        ) from error
    finally:
        consumer.close()
