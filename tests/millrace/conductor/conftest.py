"""A warehouse on each database, data sets in it, and a worker that does the stages' part without their work.

Above 300 lines because the makers of events, attempts and reports belong to one pretended platform.
"""

import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import select

from millrace.conductor.service import Conductor
from millrace.contracts.canonical import sha256_bytes
from millrace.contracts.events import DatasetUploaded, now
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.stages import Level, TriggeredStage
from millrace.contracts.task import Coordinates, StageRequest
from millrace.kafka.records import Record
from millrace.settings import Settings
from millrace.warehouse.models import list_models
from millrace.warehouse.outbox import enqueue
from millrace.warehouse.profile import ColumnProfile, ColumnType, Profile, ValueCount
from millrace.warehouse.saves import Made, TrainedModel, save_model, save_report
from millrace.warehouse.schema import Dataset, DatasetVersion, History, Outbox, Pipeline, StageAttempt
from millrace.warehouse.stage_work import StageWork, claim, fail
from millrace.warehouse.store import Warehouse, open_warehouse

KEY = DatasetKey("ada", "loans")

Columns = dict[str, Sequence[Any]]


def column_profile(name: str, values: Sequence[Any]) -> ColumnProfile:
    """The profile of a column given as Python values; None is missing."""
    present = [value for value in values if value is not None]
    kinds: dict[type, ColumnType] = {bool: "boolean", int: "integer", float: "number", str: "text"}
    counted = Counter(str(value).lower() if isinstance(value, bool) else str(value) for value in present)
    top = sorted(counted.items(), key=lambda one: (-one[1], one[0]))[:10]
    return ColumnProfile(
        name=name,
        type=kinds[type(present[0])] if present else "text",
        null_count=len(values) - len(present),
        distinct_count=len(counted),
        top=tuple(ValueCount(value=value, count=count) for value, count in top),
    )


def profile_of(columns: Columns) -> Profile:
    """The profile of a small table."""
    rows = len(next(iter(columns.values())))
    return Profile(
        columns=tuple(column_profile(name, values) for name, values in columns.items()),
        row_count=rows,
        duplicate_rows=0,
    )


def loans(rows: int = 40) -> Columns:
    return {
        "id": [f"L{number:04d}" for number in range(rows)],
        "sex": ["f" if number % 3 else "m" for number in range(rows)],
        "income": [1000.5 + number for number in range(rows)],
        "approved": ["yes" if number % 4 else "no" for number in range(rows)],
    }


@dataclass
class Bench:
    """A conductor on a warehouse, and hands for everything around it."""

    warehouse: Warehouse
    settings: Settings
    conductor: Conductor
    delivered: int = 0

    def store(self, version: int = 1, columns: Columns | None = None, *, key: DatasetKey = KEY) -> str:
        """A version of the data set with its event in the outbox; gives the event id."""
        profile = profile_of(columns or loans())
        content = sha256_bytes(f"{key}{version}".encode())
        event_id = f"up-{key.partition_key}-{version}"
        with self.warehouse.transaction() as session:
            if session.get(Dataset, tuple(key)) is None:
                session.add(Dataset(user_id=key.user_id, dataset_id=key.dataset_id, name="Loans", created_at=now()))
                session.flush()
            facts: dict[str, Any] = {
                "user_id": key.user_id,
                "dataset_id": key.dataset_id,
                "version": version,
                "sha256": content,
                "file_name": "loans.csv",
                "format": "csv",
                "size_bytes": 100,
                "record_count": profile.row_count,
                "column_count": len(profile.columns),
            }
            row = DatasetVersion(
                **facts, table_sha256=content, profile=profile.model_dump(mode="json"), meta={"encoding": "utf-8"},
                created_at=now(),
            )  # fmt: skip
            session.add(row)
            event = DatasetUploaded.write(event_id=event_id, name="Loans", metadata=row.meta, **facts)
            enqueue(session, self.settings.topics, event, content_sha256=content)
        return event_id

    def upload(self, version: int = 1, columns: Columns | None = None, *, key: DatasetKey = KEY) -> str:
        """A stored version whose event the conductor has seen; gives the pipeline's id."""
        event_id = self.store(version, columns, key=key)
        self.deliver()
        with self.warehouse.read() as session:
            return session.scalars(select(Pipeline.id).where(Pipeline.cause_event_id == event_id)).one()

    def records(self) -> list[Record]:
        """Every event of the conductor's topics, as Kafka would bring it, in the order of the outbox."""
        with self.warehouse.read() as session:
            rows = session.scalars(
                select(Outbox).where(Outbox.topic.in_(self.settings.topics.for_conductor())).order_by(Outbox.id)
            ).all()
        return [
            Record(
                coordinates=Coordinates(row.topic, "topic-1", 0, row.id),
                key=row.key.encode(),
                raw_value=row.value,
                raw_headers=tuple((name, str(value).encode()) for name, value in row.headers.items()),
            )
            for row in rows
        ]

    def deliver(self) -> None:
        """Hands over every event that is new."""
        records = self.records()
        for record in records[self.delivered :]:
            self.conductor.on_event(record)
        self.delivered = len(records)

    def triggers(self) -> list[Outbox]:
        """The triggers sent so far."""
        with self.warehouse.read() as session:
            return list(
                session.scalars(
                    select(Outbox).where(Outbox.topic.in_(self.settings.topics.triggers())).order_by(Outbox.id)
                )
            )

    def pipeline(self, pipeline_id: str) -> Pipeline:
        with self.warehouse.read() as session:
            return session.get_one(Pipeline, pipeline_id)

    def state(self, pipeline_id: str) -> tuple[str, str | None]:
        row = self.pipeline(pipeline_id)
        return row.state, row.stage

    def history(self, pipeline_id: str) -> list[History]:
        with self.warehouse.read() as session:
            return list(
                session.scalars(select(History).where(History.pipeline_id == pipeline_id).order_by(History.seq))
            )

    def attempts(self, pipeline_id: str) -> list[StageAttempt]:
        with self.warehouse.read() as session:
            return list(
                session.scalars(
                    select(StageAttempt).where(StageAttempt.pipeline_id == pipeline_id).order_by(StageAttempt.id)
                )
            )

    def request(
        self, pipeline_id: str, stage: str, level: str | None = None, *, run: str | None = None
    ) -> StageRequest:
        """What the run of the newest attempt knows."""
        mine = [one for one in self.attempts(pipeline_id) if (one.stage, one.level) == (stage, level or "")]
        row = self.pipeline(pipeline_id)
        return StageRequest(
            key=DatasetKey(row.user_id, row.dataset_id),
            stage=cast(TriggeredStage, stage),
            level=cast(Level | None, level),
            run_id=run or f"run-{mine[-1].trigger_event_id}",
            pipeline_id=pipeline_id,
            attempt=mine[-1].attempt,
        )

    def start(self, pipeline_id: str, stage: str, level: str | None = None) -> StageWork:
        return claim(self.warehouse, self.request(pipeline_id, stage, level))

    def save(self, work: StageWork) -> None:
        """What the stage saves last; its event is in the outbox afterwards."""
        stage, level = work.request.stage, work.request.level
        made = Made(f"{stage}{level or ''}", (), {}, None, None, None, 0.1)
        if stage == "automl":
            save_model(self.warehouse, work, self._model(work), made=made, announce=True)
            return
        save_report(
            self.warehouse,
            work,
            kind="bias" if stage == "bias" else "xai",
            document={"stage": stage, "level": level},
            html=f"<p>{stage} {level}</p>",
            report_hash=sha256_bytes(f"{work.version.sha256}{stage}{level}".encode()),
            summary={},
            made=made,
            level=level,
        )

    def work(self, pipeline_id: str, stage: str, level: str | None = None) -> None:
        """A whole stage: claimed, done, saved."""
        self.save(self.start(pipeline_id, stage, level))

    def fail(self, pipeline_id: str, stage: str, level: str | None = None, *, transient: bool = True) -> None:
        request = self.request(pipeline_id, stage, level)
        claim(self.warehouse, request)
        assert fail(self.warehouse, request, error_class="Boom", message="it broke", transient=transient)

    def complete(self, pipeline_id: str) -> None:
        """Everything that is left to do, with a person who says yes."""
        for _ in range(20):
            state, _ = self.state(pipeline_id)
            if state == "waiting_for_answers":
                self.conductor.answer(pipeline_id, None, actor="user:ada")
            elif state == "waiting_for_approval":
                self.conductor.approve(pipeline_id, actor="user:ada")
            elif state in ("queued", "running"):
                # levels end in any order; here the last that was asked for is the first
                for one in reversed(self.attempts(pipeline_id)):
                    if one.state in ("requested", "claimed"):
                        self.work(pipeline_id, one.stage, one.level or None)
                self.deliver()
            else:
                return

    def _model(self, work: StageWork) -> TrainedModel:
        with self.warehouse.read() as session:
            key = work.version.key
            known = list_models(session, key.user_id, dataset_id=key.dataset_id)
        figures = {"accuracy": 0.9}
        number = 1 + max((one.version for one in known), default=0)
        return TrainedModel(
            version=number,
            registered_name=work.version.key.partition_key,
            mlflow_run_id=f"mlflow-{number}",
            model_uri=f"models:/{work.version.key.partition_key}/{number}",
            tree_sha256=sha256_bytes(f"{work.version.sha256}{number}".encode()),
            framework="sklearn",
            task_type=work.answers.task_type,
            algorithm="RandomForest",
            target_column=work.answers.target,
            size_bytes=10,
            metrics={"train": figures, "validation": figures, "test": figures, "baseline": figures},
            details={},
        )


MakeBench = Callable[..., Bench]


def _bench(settings: Settings) -> Bench:
    warehouse = open_warehouse(settings, migrate=True)
    return Bench(warehouse, settings, Conductor(warehouse, settings))


@pytest.fixture
def bench_on() -> Iterator[Callable[[Settings], Bench]]:
    """`bench_on(settings)` gives a bench beside whatever else works on that home."""
    made: list[Bench] = []

    def make(settings: Settings) -> Bench:
        made.append(_bench(settings))
        return made[-1]

    yield make
    for bench in made:
        bench.warehouse.engine.dispose()


@pytest.fixture
def make_bench(
    tmp_path: Path, make_settings: Callable[..., Settings], with_tables: Callable[[Settings], Settings]
) -> Iterator[MakeBench]:
    """`make_bench(MILLRACE_POLICY="autopilot")` gives a bench on a new SQLite database."""
    made: list[Bench] = []

    def make(**environment: str | int) -> Bench:
        made.append(_bench(with_tables(make_settings(tmp_path / f"home-{len(made)}", **environment))))
        return made[-1]

    yield make
    for bench in made:
        bench.warehouse.engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def bench(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    make_settings: Callable[..., Settings],
    with_tables: Callable[[Settings], Settings],
) -> Iterator[Bench]:
    """A bench on each of the two databases."""
    if request.param == "postgresql":
        settings = make_settings(tmp_path, MILLRACE_DATABASE_URL=request.getfixturevalue("postgres_database"))
    else:
        settings = with_tables(make_settings(tmp_path))
    bench = _bench(settings)
    yield bench
    bench.warehouse.engine.dispose()


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Gives a port on which nothing listened a moment ago."""

    def find() -> int:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            return int(one.getsockname()[1])

    return find
