import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, ExecuteInProcessResult
from sqlalchemy import select, update

import definitions
from assets.tags import tags_of
from millrace import settings as environment
from millrace.conductor.service import Conductor
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.stages import TriggeredStage
from millrace.contracts.task import Answers, Coordinates, StageRequest
from millrace.settings import Settings
from millrace.warehouse.schema import Outbox, Pipeline, StageAttempt
from millrace.warehouse.store import Warehouse, open_warehouse
from millrace.warehouse.uploads import receive, store_upload

KEY = DatasetKey("ada", "loans")
ROWS = "\n".join(f"{n},{'fm'[n % 2]},{'yes' if n % 3 else 'no'},same" for n in range(60))


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings as the environment has them; no MLflow server answers there."""
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    return environment.load()


@pytest.fixture
def warehouse(live: Settings, with_tables: Callable[[Settings], Settings]) -> Warehouse:
    return open_warehouse(with_tables(live))


@pytest.fixture
def conductor(warehouse: Warehouse, live: Settings) -> Conductor:
    return Conductor(warehouse, live)


@pytest.fixture
def instance(tmp_path: Path, new_instance: Callable[[Path], DagsterInstance]) -> Iterator[DagsterInstance]:
    with new_instance(tmp_path / "dagster") as made:
        made.add_dynamic_partitions("datasets", [KEY.partition_key])
        yield made


@pytest.fixture
def begin(warehouse: Warehouse, live: Settings, conductor: Conductor) -> Callable[..., StageRequest]:
    """`begin()` uploads and answers, and gives what the trigger of the bias stage asks for."""

    def start(*, target: str = "approved", **plan: Any) -> StageRequest:
        text = f"number,sex,approved,flat\n{ROWS}\n"
        received = receive(io.BytesIO(text.encode()), file_name="f.csv", settings=live, warehouse=warehouse)
        store_upload(warehouse, live, received, key=KEY, name="loans")
        answers = Answers(target="approved", task_type="classification", positive=None, sensitive=("sex",))
        pipeline_id = conductor.create(KEY, answers=answers, settings={"time_budget": 2, **plan}, actor="user:ada")
        if target != "approved":
            # the conductor refuses such a target; an attempt may have older answers
            changed = answers.model_copy(update={"target": target}).model_dump(mode="json")
            with warehouse.transaction() as session:
                session.execute(update(Pipeline).values(answers=changed))
        return wanted(pipeline_id, "bias")

    return start


def wanted(pipeline_id: str, stage: TriggeredStage) -> StageRequest:
    """What a trigger of the pipeline's first attempt at the stage asks for."""
    return StageRequest(
        key=KEY, stage=stage, run_id="", pipeline_id=pipeline_id, attempt=1, event_id=f"{pipeline_id}-{stage}-1",
        trigger=Coordinates("topic", "T1", 0, 7),
    )  # fmt: skip


@pytest.fixture
def launch(instance: DagsterInstance, warehouse: Warehouse) -> Callable[..., ExecuteInProcessResult]:
    """`launch("bias_job", request)` runs the job as a trigger's run would."""

    def run(job: str, request: StageRequest | None = None, **options: Any) -> ExecuteInProcessResult:
        tags = {} if request is None else tags_of(replace(request, run_id=""))
        return (
            definitions.defs.get_repository_def()
            .get_job(job)
            .execute_in_process(
                instance=instance, partition_key=KEY.partition_key, tags=tags, raise_on_error=False, **options
            )
        )

    return run


@pytest.fixture
def attempt(warehouse: Warehouse) -> Callable[[StageRequest], StageAttempt]:
    """`attempt(request)` gives the attempt's row."""

    def read(request: StageRequest) -> StageAttempt:
        with warehouse.read() as session:
            return session.scalars(
                select(StageAttempt).where(
                    StageAttempt.pipeline_id == request.pipeline_id, StageAttempt.stage == request.stage
                )
            ).one()

    return read


@pytest.fixture
def sent(warehouse: Warehouse) -> Callable[[], list[dict[str, Any]]]:
    """`sent()` gives the payloads in the outbox, oldest first."""

    def read() -> list[dict[str, Any]]:
        with warehouse.read() as session:
            return [json.loads(row.value) for row in session.scalars(select(Outbox).order_by(Outbox.id))]

    return read
