"""Sends sample documents."""

import random
import time
from dataclasses import dataclass
from typing import Any

from millrace.contracts.canonical import canonical_json
from millrace.contracts.errors import BadInput, CannotReach
from millrace.kafka.clients import producer_config
from millrace.kafka.topics import create_topics
from millrace.settings import Settings
from millrace.streams.documents.samples import bad_message, sample

_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Produced:
    """What was sent and acknowledged."""

    sent: int
    bad: int
    topic: str
    seconds: float


def produce_documents(
    settings: Settings, *, count: int, seed: int = 0, rate: float | None = None, bad_share: float = 0.0
) -> Produced:
    """Sends `count` documents, of which about `bad_share` are none; at most `rate` a second. All are acknowledged.

    Raises:
        BadInput: a number that cannot be.
        CannotReach: the broker did not take all of them; says how many.
    """
    from confluent_kafka import Producer

    if count < 1 or not 0 <= bad_share <= 1 or (rate is not None and rate <= 0):
        raise BadInput(
            f"{count} documents, {bad_share} of them bad, {rate} a second", field="count",
            remedy="give a count from 1, a share from 0 to 1 and a rate above 0",
        )  # fmt: skip
    create_topics(settings, settings.topics.for_documents())
    topic, began, bad, failures, taken = settings.topics.documents, time.monotonic(), 0, [], 0
    producer = Producer(producer_config(settings, compression_type="gzip", linger_ms=50))

    def delivered(problem: Any, _: Any) -> None:
        nonlocal taken
        taken += problem is None
        if problem is not None:
            failures.append(problem)

    draw = random.Random(f"{seed}/bad")
    for number in range(count):
        one = sample(seed, number)
        is_bad = draw.random() < bad_share
        bad += is_bad
        value = bad_message(seed, number) if is_bad else canonical_json(one._asdict()).encode()
        while True:
            try:
                producer.produce(topic, value, one.document_id.encode(), on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
        if rate is not None:
            time.sleep(max(0.0, began + (number + 1) / rate - time.monotonic()))
    producer.flush(_PATIENCE_SECONDS)
    if taken < count:
        why = failures[0].str() if failures else f"nothing was acknowledged for {_PATIENCE_SECONDS:.0f} s"
        raise CannotReach(
            f"{count - taken} of {count} documents were not taken by {topic} at {settings.bootstrap}: {why}",
            field="KAFKA_BROKERS",
            remedy="run `millrace llm doctor`, and send again; a document that comes twice is processed twice",
        )
    return Produced(count, bad, topic, round(time.monotonic() - began, 3))
