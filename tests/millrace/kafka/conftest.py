"""Topics of a test's own on the session's broker, and clients to fill and read them."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Producer

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
def background() -> Iterator[Callable[[Callable[[threading.Event], None]], threading.Event]]:
    """Runs functions of a stop event in threads; the end of the test stops them and raises what they raised."""
    running: list[tuple[threading.Thread, threading.Event, list[BaseException]]] = []

    def run(work: Callable[[threading.Event], None]) -> threading.Event:
        stop, raised = threading.Event(), []

        def guarded() -> None:
            try:
                work(stop)
            except BaseException as error:  # noqa: BLE001 (handed to the test's thread below)
                raised.append(error)

        thread = threading.Thread(target=guarded)
        thread.start()
        running.append((thread, stop, raised))
        return stop

    yield run
    for thread, stop, raised in running:
        stop.set()
        thread.join(20)
        assert not thread.is_alive(), "the loop did not end within 20 s"
        if raised:
            raise raised[0]


@pytest.fixture
def wait_for() -> Callable[..., None]:
    def wait(condition: Callable[[], object], *, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not true within {seconds} s"
            time.sleep(0.02)

    return wait
