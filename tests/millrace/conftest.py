"""What tests of streams share: work in threads, waiting, and everything that a topic holds."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from millrace.kafka.clients import reader_config
from millrace.settings import Settings


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


def read_all(settings: Settings, topic: str) -> list[Message]:
    """Everything that is committed in the topic, partition by partition."""
    consumer = Consumer(reader_config(settings, enable_partition_eof=True))
    found: list[Message] = []
    for partition in consumer.list_topics(topic, timeout=20).topics[topic].partitions:
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
        deadline = time.monotonic() + 20
        while True:
            message = consumer.poll(1)
            assert time.monotonic() < deadline, f"{topic}/{partition} has no end"
            if message is None:
                continue
            if message.error() is None:
                found.append(message)
            elif message.error().code() == KafkaError._PARTITION_EOF:
                break
    consumer.close()
    return found


@pytest.fixture
def read_committed() -> Callable[[Settings, str], list[Message]]:
    """`read_committed(settings, topic)`: everything that is committed in the topic, partition by partition."""
    return read_all
