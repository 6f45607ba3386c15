"""Streams on the session's broker with topics of the test's own, and a warehouse."""

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Message, Producer

from millrace.kafka.clients import producer_config
from millrace.kafka.topics import create_topics
from millrace.settings import Settings
from millrace.warehouse.store import Warehouse, open_warehouse


@pytest.fixture
def warehouse(
    make_settings: Callable[..., Settings], with_tables: Callable[[Settings], Settings], tmp_path: Path
) -> Iterator[Warehouse]:
    opened = open_warehouse(with_tables(make_settings(tmp_path)))
    yield opened
    opened.engine.dispose()


@pytest.fixture
def live(broker_settings: Settings, tmp_path: Path) -> Settings:
    """Settings of the session's broker with topics of their own, two partitions each, and a home of the test's."""
    mark = uuid.uuid4().hex[:8]
    settings = broker_settings.model_copy(
        update={
            "home": tmp_path / "home", "partitions": 2, "events_topic": f"raw-{mark}", "scored_topic": f"out-{mark}",
            "stream_interval_ms": 20, "stream_prefix": mark,
        }
    )  # fmt: skip
    create_topics(settings, [name + end for name in settings.topics.streams() for end in ("", ".dlq")])
    return settings


@pytest.fixture
def send(live: Settings) -> Callable[..., list[str]]:
    """`send(events)` puts event dictionaries, or bytes as they are, on the raw topic; gives the event ids."""

    def put(*events: dict | bytes) -> list[str]:
        producer, sent = Producer(producer_config(live)), []
        for event in events:
            value = event if isinstance(event, bytes) else json.dumps(event).encode()
            key = "x" if isinstance(event, bytes) else str(event.get("user_id"))
            producer.produce(live.events_topic, value, key)
            if isinstance(event, dict):
                sent.append(event["event_id"])
        assert producer.flush(20) == 0
        return sent

    return put


@pytest.fixture
def read(live: Settings, read_committed: Callable[[Settings, str], list[Message]]) -> Callable[[str], list[Message]]:
    """`read(topic)` gives everything that is committed there, partition by partition."""
    return lambda topic: read_committed(live, topic)


TEXTS = ("This app is fantastic!", "It crashed again, I hate it.", "The meeting is on Tuesday.", "Best support ever!")


@pytest.fixture
def make_event() -> Callable[..., dict]:
    """`make_event(3)` is the third event of a stream, a dictionary in the seed's form."""

    def make(number: int, **changes: object) -> dict:
        return {
            "event_id": f"e-{number:05d}", "ts": "2025-08-30T16:30:00Z", "user_id": str(number % 7), "channel": "web",
            "lang": "en", "text": TEXTS[number % len(TEXTS)], **changes,
        }  # fmt: skip

    return make
