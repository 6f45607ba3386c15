"""A stream's job on the session's broker, with a home and a Dagster instance of the test's own."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from dagster import DagsterInstance

from millrace import settings as environment
from millrace.kafka.clients import producer_config, reader_config
from millrace.kafka.topics import create_topics
from millrace.settings import Settings
from millrace.text.vader import VaderScorer
from millrace.warehouse.scoring_models import save_scoring_model
from millrace.warehouse.statements import Made
from millrace.warehouse.store import Warehouse, open_warehouse


@pytest.fixture
def live(
    broker_settings: Settings, make_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Settings as the environment has them; where MLflow would be nothing listens, whatever else this machine runs."""
    mark = uuid.uuid4().hex[:8]
    values = {
        "MILLRACE_HOME": str(tmp_path / "home"), "MILLRACE_KAFKA_PORT": str(broker_settings.kafka_port),
        "MILLRACE_EVENTS_TOPIC": f"raw-{mark}", "MILLRACE_SCORED_TOPIC": f"out-{mark}",
        "MILLRACE_STREAM_PREFIX": mark, "MILLRACE_STREAM_CHECKPOINT_SECONDS": "1",
        "MILLRACE_TOPIC_PARTITIONS": "2", "MILLRACE_SCORING_MODEL": "vader",
        "MILLRACE_MLFLOW_PORT": str(make_settings(tmp_path).mlflow_port),
    }  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    settings = environment.load()
    create_topics(settings, [name + end for name in settings.topics.streams() for end in ("", ".dlq")])
    return settings


@pytest.fixture
def fresh(live: Settings, with_tables: Callable[[Settings], Settings]) -> Iterator[Warehouse]:
    """A warehouse that no stream has used."""
    opened = open_warehouse(with_tables(live))
    yield opened
    opened.engine.dispose()


@pytest.fixture
def warehouse(fresh: Warehouse, pin_vader: Callable[..., dict]) -> Warehouse:
    """As an earlier start left it: VADER is pinned."""
    pin_vader(fresh)
    return fresh


@pytest.fixture
def pin_vader() -> Callable[..., dict]:
    """`pin_vader(warehouse, source="again", version=2)` records and pins it, as if MLflow had taken it."""

    def pin(warehouse: Warehouse, *, source: str = "vader", version: int = 1) -> dict:
        choice = {"kind": "vader", "source": source, "form": "lexicon", "version": VaderScorer().version}
        made = Made("scoring_model", (), {"chosen by": "a"}, seed=None, rows_in=None, rows_out=None, seconds=0.1)
        return save_scoring_model(
            warehouse, "score_events", choice, version=version, mlflow_run_id="m" * 32, tree_sha256=f"{version:064x}",
            made=made, actor="a", run_id=None,
        )  # fmt: skip

    return pin


@pytest.fixture
def instance(tmp_path: Path, new_instance: Callable[[Path], DagsterInstance]) -> Iterator[DagsterInstance]:
    with new_instance(tmp_path / "dagster") as made:
        yield made


@pytest.fixture
def send(live: Settings) -> Callable[..., None]:
    """`send(20)` puts so many events on the raw topic; bytes are sent as they are."""

    def put(*what: int | bytes) -> None:
        producer = Producer(producer_config(live))
        for one in what:
            values = [one] if isinstance(one, bytes) else [
                json.dumps({"event_id": str(n), "ts": "2026-01-01T00:00:00Z", "user_id": str(n), "text": "good"})
                for n in range(one)
            ]  # fmt: skip
            for value in values:
                producer.produce(live.events_topic, value)
        assert producer.flush(20) == 0

    return put


@pytest.fixture
def read_scored(live: Settings) -> Callable[[], list[bytes]]:
    """`read_scored()` gives the committed messages of the scored topic."""

    def read() -> list[bytes]:
        consumer, found = Consumer(reader_config(live, enable_partition_eof=True)), []
        for partition in (0, 1):
            consumer.assign([TopicPartition(live.scored_topic, partition, OFFSET_BEGINNING)])
            while (message := consumer.poll(10)) is not None and message.error() is None:
                found.append(message.value())
        consumer.close()
        return found

    return read


@pytest.fixture
def wait_for() -> Callable[..., None]:
    def wait(condition: Callable[[], object], *, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not true within {seconds} s"
            time.sleep(0.05)

    return wait
