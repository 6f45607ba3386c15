"""A warehouse on both databases, and what the rooms above put into it.

Above 300 lines because the two databases, the broker and the makers of rows are one set of parts.
"""

import io
import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from sqlalchemy import create_engine, select, text

from millrace.contracts.events import AutomlTrigger, Event, XaiTrigger, now
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.task import Answers, PipelineSettings, StageRequest
from millrace.kafka.broker import EmbeddedBroker
from millrace.kafka.clients import reader_config
from millrace.kafka.topics import create_topics
from millrace.settings import Settings
from millrace.warehouse.outbox import backlog, enqueue
from millrace.warehouse.relay import Relay
from millrace.warehouse.schema import Outbox, Pipeline, StageAttempt, Table
from millrace.warehouse.store import Warehouse, open_warehouse
from millrace.warehouse.uploads import UploadResult, receive, store_upload

KEY = DatasetKey("ada", "loans")
SMALL = b"age,region,approved\n31,north,true\n45,south,false\n28,,true\n"

MakeSettings = Callable[..., Settings]
WithTables = Callable[[Settings], Settings]
Upload = Callable[..., UploadResult]
MakeAttempt = Callable[..., StageRequest]
AddPipeline = Callable[..., None]


DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(scope="session")
def _migrated_postgres(postgres_url: str, tmp_path_factory: pytest.TempPathFactory, make_settings: MakeSettings) -> str:
    admin, name = create_engine(postgres_url, isolation_level="AUTOCOMMIT"), f"warehouse_{uuid.uuid4().hex[:12]}"
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    url = postgres_url.removesuffix("postgres") + name
    settings = make_settings(tmp_path_factory.mktemp("migrated"), MILLRACE_DATABASE_URL=url)
    open_warehouse(settings, migrate=True).engine.dispose()
    return url


def _emptied(url: str) -> str:
    engine = create_engine(url)
    tables = ", ".join(table.name for table in Table.metadata.sorted_tables)
    with engine.begin() as connection:
        # the triggers that keep history would refuse to truncate it
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY"))
    engine.dispose()
    return url


@pytest.fixture(params=DATABASES)
def settings(
    request: pytest.FixtureRequest, tmp_path: Path, make_settings: MakeSettings, with_tables: WithTables
) -> Settings:
    """Settings of a home whose database has the tables and nothing in them."""
    if request.param == "postgresql":
        return make_settings(tmp_path, MILLRACE_DATABASE_URL=_emptied(request.getfixturevalue("_migrated_postgres")))
    return with_tables(make_settings(tmp_path))


@pytest.fixture(params=DATABASES)
def blank_settings(request: pytest.FixtureRequest, tmp_path: Path, make_settings: MakeSettings) -> Settings:
    """Settings of a home whose database has no tables."""
    if request.param == "postgresql":
        return make_settings(tmp_path, MILLRACE_DATABASE_URL=request.getfixturevalue("postgres_database"))
    return make_settings(tmp_path)


@pytest.fixture
def warehouse(settings: Settings) -> Iterator[Warehouse]:
    opened = open_warehouse(settings, migrate=True)
    yield opened
    opened.engine.dispose()


@pytest.fixture
def light_settings(tmp_path: Path, make_settings: MakeSettings, with_tables: WithTables) -> Settings:
    """For what does not depend on the database."""
    return with_tables(make_settings(tmp_path))


@pytest.fixture
def light_warehouse(light_settings: Settings) -> Iterator[Warehouse]:
    opened = open_warehouse(light_settings, migrate=True)
    yield opened
    opened.engine.dispose()


def upload_to(
    warehouse: Warehouse,
    settings: Settings,
    data: bytes = SMALL,
    *,
    key: DatasetKey = KEY,
    name: str = "Loans",
    file_name: str = "loans.csv",
    **more: Any,
) -> UploadResult:
    received = receive(io.BytesIO(data), file_name=file_name, settings=settings, warehouse=warehouse)
    return store_upload(warehouse, settings, received, key=key, name=name, **more)


@pytest.fixture
def upload(warehouse: Warehouse, settings: Settings) -> Upload:
    return lambda data=SMALL, **more: upload_to(warehouse, settings, data, **more)


@pytest.fixture
def light_upload(light_warehouse: Warehouse, light_settings: Settings) -> Upload:
    return lambda data=SMALL, **more: upload_to(light_warehouse, light_settings, data, **more)


@pytest.fixture
def add_pipeline(warehouse: Warehouse) -> AddPipeline:
    """Adds a pipeline of `ada.loans`; fields of the row can be given."""

    def add(pipeline_id: str = "pl-1", *, version: int = 1, key: DatasetKey = KEY, **more: Any) -> None:
        answers = Answers(target="approved", task_type="classification", positive="true")
        fields: dict[str, Any] = {
            "state": "queued",
            "settings": PipelineSettings(time_budget=7, seed=3).model_dump(mode="json"),
            "proposals": {},
            "answers": answers.model_dump(mode="json"),
        }
        with warehouse.transaction() as session:
            session.add(
                Pipeline(
                    id=pipeline_id,
                    cause_event_id=f"cause-{pipeline_id}",
                    user_id=key.user_id,
                    dataset_id=key.dataset_id,
                    version=version,
                    sha256="0" * 64,
                    approvals={},
                    ending_runs=False,
                    trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
                    revision=0,
                    created_at=now(),
                    updated_at=now(),
                    **(fields | more),
                )
            )

    return add


@pytest.fixture
def make_attempt(warehouse: Warehouse, upload: Upload, add_pipeline: AddPipeline) -> MakeAttempt:
    """A requested attempt on the first version of the data set, and the request of a run that may claim it."""

    def make(stage: str = "bias", *, level: str | None = None, run_id: str = "run-1", attempt: int = 1) -> StageRequest:
        upload()
        with warehouse.read() as session:
            there = session.get(Pipeline, "pl-1") is not None
        if not there:
            add_pipeline()
        with warehouse.transaction() as session:
            session.add(
                StageAttempt(
                    pipeline_id="pl-1",
                    stage=stage,
                    level=level or "",
                    attempt=attempt,
                    state="requested",
                    trigger_event_id=f"pl-1-{stage}-{level or ''}-{attempt}",
                    requested_at=now(),
                )
            )
        return StageRequest(key=KEY, stage=stage, run_id=run_id, level=level, pipeline_id="pl-1", attempt=attempt)

    return make


@dataclass(frozen=True)
class Arrived:
    """An event as another client reads it from the broker."""

    event_id: str
    topic: str
    key: str
    partition: int
    offset: int
    headers: dict[str, str]
    value: bytes


def read_all(settings: Settings, topics: Sequence[str]) -> list[Arrived]:
    """All that the topics hold, in order of partition and offset."""
    consumer = Consumer(reader_config(settings))
    found = []
    try:
        known = consumer.list_topics(timeout=20).topics
        for topic in topics:
            for number in known[topic].partitions:
                low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=20)
                consumer.assign([TopicPartition(topic, number, low)])
                for _ in range(high - low):
                    message = consumer.poll(20)
                    assert message is not None
                    assert message.error() is None
                    headers = {name: (value or b"").decode() for name, value in message.headers() or []}
                    found.append(
                        Arrived(
                            headers["millrace-event-id"],
                            topic,
                            (message.key() or b"").decode(),
                            number,
                            message.offset() or 0,
                            headers,
                            message.value() or b"",
                        )
                    )
    finally:
        consumer.close()
    return found


def in_order_of_first_arrival(found: Sequence[Arrived]) -> dict[tuple[str, str], list[str]]:
    """(topic, key) → event ids, duplicates left out as an idempotent consumer leaves them out."""
    order: dict[tuple[str, str], list[str]] = {}
    for one in found:
        ids = order.setdefault((one.topic, one.key), [])
        if one.event_id not in ids:
            ids.append(one.event_id)
    return order


def written(warehouse: Warehouse) -> dict[tuple[str, str], list[str]]:
    """(topic, key) → event ids of the outbox in the order in which they were written."""
    order: dict[tuple[str, str], list[str]] = {}
    with warehouse.read() as session:
        for row in session.scalars(select(Outbox).order_by(Outbox.id)):
            order.setdefault((row.topic, row.key), []).append(row.event_id)
    return order


def wait_until_sent(warehouse: Warehouse, *, seconds: float = 60) -> None:
    """Returns when the outbox is empty."""
    deadline = time.monotonic() + seconds
    while True:
        with warehouse.read() as session:
            waiting = backlog(session)
        if waiting.count == 0:
            return
        assert time.monotonic() < deadline, f"{waiting.count} events were not sent"
        time.sleep(0.02)


class Look:
    """What tests look at: the broker, the outbox, and whether the one has all of the other."""

    read_all = staticmethod(read_all)
    written = staticmethod(written)
    wait_until_sent = staticmethod(wait_until_sent)
    in_order_of_first_arrival = staticmethod(in_order_of_first_arrival)


@pytest.fixture
def look() -> type[Look]:
    return Look


@pytest.fixture
def on_broker(settings: Settings, broker_settings: Settings) -> Settings:
    """Settings of an empty warehouse whose topics, all its own, are on the session's broker."""
    return with_own_topics(settings, port=broker_settings.kafka_port)


@pytest.fixture
def relayed(on_broker: Settings) -> Iterator[Warehouse]:
    """An empty warehouse whose topics are on the session's broker."""
    opened = open_warehouse(on_broker)
    yield opened
    opened.engine.dispose()


@pytest.fixture
def own_topics() -> Callable[[Settings, Settings | EmbeddedBroker], Settings]:
    """`own_topics(settings, broker)`: the settings on that broker, with new topics under names of their own."""

    def own(settings: Settings, broker: Settings | EmbeddedBroker) -> Settings:
        address = broker.kafka_port if isinstance(broker, Settings) else int(broker.bootstrap.rpartition(":")[2])
        return with_own_topics(settings, port=address)

    return own


def with_own_topics(settings: Settings, *, port: int) -> Settings:
    mark = uuid.uuid4().hex[:8]
    names = {f"{field}_topic": f"{field}-{mark}" for field in vars(settings.topics)}
    own = settings.model_copy(update={**names, "kafka_port": port, "partitions": 2})
    create_topics(own, [name for name in own.topics.all() if not name.endswith(".dlq")])
    return own


@pytest.fixture
def write() -> Callable[..., None]:
    """`write(warehouse, count, keys=3)`: events of that many keys, on two topics, in one transaction."""
    numbers = itertools.count()

    def add(warehouse: Warehouse, count: int, *, keys: int = 3) -> None:
        with warehouse.transaction() as session:
            for _ in range(count):
                number = next(numbers)
                owner = {"user_id": "ada", "dataset_id": f"d{number % keys}"}
                event: Event = XaiTrigger.write(**owner, model_id="m", version="v1", level="expert")
                if number % 5 == 0:
                    event = AutomlTrigger.write(
                        **owner, target_column_name="y", task_type="regression", time_budget="1"
                    )
                enqueue(session, warehouse.topics, event, event_id=f"e{number:06d}")

    return add


@pytest.fixture
def relaying() -> Iterator[Callable[[Relay], Callable[[], None]]]:
    """Runs relays in threads and gives functions that stop them; the end of the test stops those that still run."""
    stops: list[Callable[[], None]] = []

    def run(relay: Relay) -> Callable[[], None]:
        ending = threading.Event()
        thread = threading.Thread(target=relay.run, args=(ending,))
        thread.start()

        def stop() -> None:
            ending.set()
            thread.join(30)
            assert not thread.is_alive()

        stops.append(stop)
        return stop

    yield run
    for stop in stops:
        stop()
