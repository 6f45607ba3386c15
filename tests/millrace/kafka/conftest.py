"""Topics of a test's own on the session's broker, and clients to fill and read them."""

import uuid
from collections.abc import Callable

import pytest
from confluent_kafka import Message, Producer

from millrace.kafka.clients import producer_config
from millrace.kafka.topics import create_topics
from millrace.settings import Settings


@pytest.fixture
def make_topic(broker_settings: Settings) -> Callable[[], str]:
    """Makes a topic with its dead-letter topic, of one partition each, and gives its name."""

    def make(partitions: int = 1) -> str:
        name = f"test-{uuid.uuid4().hex[:10]}"
        create_topics(broker_settings.model_copy(update={"partitions": partitions}), [name, f"{name}.dlq"])
        return name

    return make


def produce(settings: Settings, topic: str, *values: bytes | None, **options: object) -> None:
    """Sends each value in order; every one is acknowledged, or the test fails."""
    failures: list[object] = []
    # a producer of its own: one that knew the topic before it was recreated numbers its messages on
    producer = Producer(producer_config(settings))
    for value in values:
        producer.produce(topic, value, on_delivery=lambda error, _: error and failures.append(error), **options)
    assert producer.flush(20) == 0
    assert failures == []


@pytest.fixture
def send(broker_settings: Settings) -> Callable[..., None]:
    """`send(topic, b"…", …)`: each value in order, acknowledged by the session's broker."""
    return lambda topic, *values, **options: produce(broker_settings, topic, *values, **options)


@pytest.fixture
def send_to() -> Callable[..., None]:
    """`send_to(settings, topic, b"…", …)`: the same on any broker."""
    return produce


@pytest.fixture
def read(
    broker_settings: Settings, read_committed: Callable[[Settings, str], list[Message]]
) -> Callable[[str], list[Message]]:
    """`read(topic)`: every committed message of it on the session's broker."""
    return lambda topic: read_committed(broker_settings, topic)


KEYS = 7


def sequence(count: int, *, start: int = 0) -> list[tuple[str, str]]:
    """(key, value) pairs; a value is its key and a number that rises."""
    return [(f"k{number % KEYS}", f"k{number % KEYS}:{number}") for number in range(start, start + count)]


@pytest.fixture
def fill() -> Callable[..., list[tuple[str, str]]]:
    """`fill(settings, topic, 200)`: so many keyed messages, acknowledged; gives them as (key, value)."""

    def send_all(settings: Settings, topic: str, count: int, *, start: int = 0) -> list[tuple[str, str]]:
        producer = Producer(producer_config(settings))
        for key, value in sequence(count, start=start):
            producer.produce(topic, value, key)
        assert producer.flush(20) == 0
        return sequence(count, start=start)

    return send_all


@pytest.fixture
def check_once() -> Callable[..., None]:
    """`check_once(messages, sent)`: none lost, none doubled, each key's in the order they were sent."""

    def check(messages: list[Message], sent: list[tuple[str, str]]) -> None:
        values = [one.value().decode() for one in messages]
        wanted = [value for _, value in sent]
        assert len(values) == len(set(values)), f"{len(values) - len(set(values))} doubled"
        assert set(values) == set(wanted), f"{len(set(wanted) - set(values))} lost"
        for key in {key for key, _ in sent}:
            arrived = [one.value().decode() for one in messages if one.key() == key.encode()]
            assert arrived == [value for of, value in sent if of == key]

    return check
