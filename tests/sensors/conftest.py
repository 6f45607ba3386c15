import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from dagster import DagsterInstance, SensorDefinition, SensorEvaluationContext

import definitions
from millrace import settings as environment
from millrace.contracts.events import now
from millrace.contracts.identifiers import DatasetKey
from millrace.kafka.clients import reader_config
from millrace.kafka.topics import create_topics
from millrace.settings import Settings
from millrace.warehouse.schema import Dataset, DatasetVersion
from millrace.warehouse.store import Warehouse, open_warehouse
from sensors import tick

TOPICS = ("DATASET", "BIAS_TRIGGER", "AUTOML_TRIGGER", "XAI_TRIGGER")


@pytest.fixture
def live(broker_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings as the environment has them: the session's broker, topics and a home of the test's own."""
    names = {f"KAFKA_{name}_TOPIC": f"{name.lower()}-{uuid.uuid4().hex[:8]}" for name in TOPICS}
    values = {"MILLRACE_HOME": str(tmp_path / "home"), "MILLRACE_KAFKA_PORT": str(broker_settings.kafka_port), **names}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    settings = environment.load()
    topics = settings.topics
    names = [name + end for name in (topics.dataset, *topics.triggers()) for end in ("", ".dlq")]
    create_topics(settings, names)
    _wait_for_leaders(settings, [topics.dataset, *topics.triggers()])
    return settings


def _wait_for_leaders(settings: Settings, names: list[str]) -> None:
    # a topic is there a moment before its partitions have leaders; a tick in between fails, and is made again
    consumer, deadline = Consumer(reader_config(settings)), time.monotonic() + 20
    waiting = [TopicPartition(name, number) for name in names for number in range(settings.partitions)]
    while waiting:
        try:
            consumer.get_watermark_offsets(waiting[-1], timeout=5)
            waiting.pop()
        except KafkaException:
            if time.monotonic() > deadline:
                raise
    consumer.close()


@pytest.fixture
def warehouse(live: Settings, with_tables: Callable[[Settings], Settings]) -> Warehouse:
    return open_warehouse(with_tables(live))


@pytest.fixture
def instance(tmp_path: Path, new_instance: Callable[[Path], DagsterInstance]):
    with new_instance(tmp_path / "dagster") as made:
        yield made


@pytest.fixture
def evaluate(instance: DagsterInstance, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch):
    """`evaluate(sensor, cursor)` gives what one short tick of the sensor comes to."""
    monkeypatch.setattr(tick, "TICK_SECONDS", 1.5)

    def run(sensor: SensorDefinition, cursor: str | None = None):
        # as Dagster's code server makes it; build_sensor_context leaves out the reference to the instance, and with it
        # the partitions that the tick itself adds
        with SensorEvaluationContext(
            instance_ref=instance.get_ref(),
            last_tick_completion_time=None,
            last_run_key=None,
            cursor=cursor,
            repository_name=None,
            repository_def=definitions.defs.get_repository_def(),
            sensor_name=sensor.name,
            resources=dict(definitions.defs.resources),
        ) as context:
            return sensor.evaluate_tick(context)

    return run


@pytest.fixture
def store_version(warehouse: Warehouse) -> Callable[..., DatasetKey]:
    """`store_version("ada", "loans", sha256=…)` puts a data set version's row into the warehouse."""

    def store(user: str, dataset: str, *, version: int = 1, sha256: str = "a" * 64) -> DatasetKey:
        column = {"name": "<b>income</b>|x", "type": "integer", "null_count": 1, "distinct_count": 3}
        with warehouse.transaction() as session:
            if session.get(Dataset, (user, dataset)) is None:
                session.add(Dataset(user_id=user, dataset_id=dataset, name=dataset, created_at=now()))
                session.flush()
            session.add(
                DatasetVersion(
                    user_id=user, dataset_id=dataset, version=version, sha256=sha256, table_sha256="b" * 64,
                    file_name="f.csv", format="csv", size_bytes=10, record_count=4, column_count=1,
                    profile={"columns": [column], "row_count": 4, "duplicate_rows": 0}, meta={}, created_at=now(),
                )
            )  # fmt: skip
        return DatasetKey(user, dataset)

    return store


@pytest.fixture
def produce(live: Settings) -> Callable[..., None]:
    """`produce(topic, value, headers={…}, key=…, partition=…)` sends one message and waits until it is there."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": live.bootstrap, "message.max.bytes": 4_000_000, "log_level": 0})

    def send(topic: str, value: bytes, *, headers=None, key: str = "ada.loans", partition: int = 0) -> None:
        producer.produce(topic, value, key=key.encode(), headers=list((headers or {}).items()), partition=partition)
        assert producer.flush(10) == 0

    return send


@pytest.fixture
def dead_letters(live: Settings) -> Callable[[str], list]:
    """`dead_letters(topic)` gives what is on the topic's dead-letter topic."""
    from millrace.kafka.plan import plan_tick
    from millrace.kafka.reader import TopicReader

    def read(topic: str) -> list:
        name = topic + ".dlq"
        with TopicReader(live, name) as reader:
            plan = plan_tick(None, topic=name, topic_id=reader.topic_id(), watermarks=reader.watermarks())
            found, position = [], plan.start
            while len(found) < plan.waiting:
                # a read ends where the next message is not at hand yet, such as one of two megabytes
                more = reader.read(position.offsets, max_records=100, seconds=5)
                assert more, f"{plan.waiting - len(found)} dead letters did not come"
                found += more
                position = position.after(map(tick.place_of, more))
            return found

    return read
