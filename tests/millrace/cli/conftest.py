import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from sqlalchemy import select
from typer.testing import CliRunner

from millrace.api.app import create_app
from millrace.cli.main import app as commands
from millrace.contracts.errors import AttemptFenced
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.task import Coordinates, StageRequest
from millrace.settings import Settings
from millrace.warehouse.saves import Made, TrainedModel, announce_model, save_model, save_report
from millrace.warehouse.schema import Outbox, StageAttempt
from millrace.warehouse.stage_work import claim, fail
from millrace.warehouse.store import Warehouse

CSV = "age,sex,income,approved\n" + "".join(
    f"{20 + i % 50},{'mf'[i % 2]},{1000 + 7 * i},{'yes' if (i * 7) % 5 > 1 else 'no'}\n" for i in range(120)
)
VERDICT = {
    "attribute": "sex", "metric": "selection_rate_ratio", "value": 0.62, "low": 0.5, "high": 0.7, "verdict": "fail",
}  # fmt: skip


@dataclass(frozen=True)
class _Record:
    value: bytes
    headers: dict[str, str]
    coordinates: Coordinates


class Worker:
    """Relay, broker, consumer and the stages in one thread: what it saves is small, how it is saved is real."""

    def __init__(self, app: Any, *, broken: str | None = None) -> None:
        self.app = app
        self.broken = broken
        self.given: set[int] = set()
        self.models = 0
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self.stopped.wait(0.05):
            state = self.app.state
            if not hasattr(state, "conductor"):
                continue
            self._deliver(state)
            self._work(state.warehouse)

    def _deliver(self, state: Any) -> None:
        with state.warehouse.read() as session:
            wanted = Outbox.topic.in_(state.settings.topics.for_conductor())
            rows = session.scalars(select(Outbox).where(wanted).order_by(Outbox.id)).all()
        for row in rows:
            if row.id not in self.given:
                self.given.add(row.id)
                at = Coordinates(row.topic, "topic-id", 0, row.id)
                state.conductor.on_event(_Record(row.value, row.headers, at))

    def _work(self, warehouse: Warehouse) -> None:
        with warehouse.read() as session:
            open_ = session.scalars(select(StageAttempt).where(StageAttempt.state == "requested")).all()
            rows = [(one.pipeline_id, one.stage, one.level or None, one.attempt) for one in open_]
        for pipeline_id, stage, level, attempt in rows:
            # the pipeline may be cancelled at any moment
            with contextlib.suppress(AttemptFenced):
                self._do(warehouse, pipeline_id, stage, level, attempt)

    def _do(self, warehouse: Warehouse, pipeline_id: str, stage: Any, level: Any, attempt: int) -> None:
        key = self._key(warehouse, pipeline_id)
        request = StageRequest(
            key=key, stage=stage, run_id=f"run-{pipeline_id}-{stage}-{level}-{attempt}", level=level,
            pipeline_id=pipeline_id, attempt=attempt,
        )  # fmt: skip
        work = claim(warehouse, request)
        if stage == self.broken:
            fail(warehouse, request, error_class="StageFailed", message="planted failure", transient=False)
            return
        made = Made(asset=stage, inputs=(), parameters={}, seed=0, rows_in=1, rows_out=1, seconds=0.01)
        document = {"verdicts": [VERDICT]}
        if stage == "bias":
            self._report(warehouse, work, made, "bias", document)
        elif stage == "automl":
            figures = {"accuracy": 0.9}
            self.models += 1
            trained = TrainedModel(
                version=self.models, registered_name=key.partition_key, mlflow_run_id=pipeline_id,
                model_uri="models:/m/1",
                tree_sha256="a" * 64, framework="scikit-learn", task_type="classification", algorithm="lgbm",
                target_column="approved", size_bytes=1,
                metrics={"train": figures, "validation": figures, "test": figures, "baseline": {"accuracy": 0.6}},
                details={},
            )  # fmt: skip
            model = save_model(warehouse, work, trained, made=made, announce=False)
            bias = Made(asset="model_bias", inputs=(), parameters={}, seed=0, rows_in=1, rows_out=1, seconds=0.01)
            self._report(warehouse, work, bias, "model_bias", document)
            announce_model(warehouse, work, model)
        else:
            self._report(warehouse, work, made, "xai", {"level": level}, level=level, model_version=self.models)

    def _report(
        self, warehouse: Warehouse, work: Any, made: Made, kind: Any, document: dict[str, Any], **more: Any
    ) -> None:
        save_report(
            warehouse, work, kind=kind, document=document, html="<!doctype html><title>x</title>", summary={},
            report_hash="b" * 64, made=made, **more,
        )  # fmt: skip

    def _key(self, warehouse: Warehouse, pipeline_id: str) -> DatasetKey:
        from millrace.warehouse.schema import Pipeline

        with warehouse.read() as session:
            row = session.get_one(Pipeline, pipeline_id)
            return DatasetKey(row.user_id, row.dataset_id)


@dataclass(frozen=True)
class Ran:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> Any:
        """The JSON object on the last line of standard output."""
        return json.loads(self.out.strip().splitlines()[-1])

    @property
    def done(self) -> Any:
        """The same, of a command that has succeeded."""
        assert self.code == 0, f"{self.out[-2000:]}\n{self.err[-2000:]}"
        return self.last


@pytest.fixture
def millrace(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    def run(*arguments: str, typed: str | None = None) -> Ran:
        from millrace.cli import output

        # the consoles remember the streams of the command before
        output.console.cache_clear()
        output.errors.cache_clear()
        done = CliRunner(env={"COLUMNS": "200"}).invoke(commands, list(arguments), input=typed)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Ran(done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture
def loans(tmp_path: Path) -> str:
    path = tmp_path / "Loan data (1).csv"
    path.write_text(CSV)
    return str(path)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_settings: Callable[..., Settings]) -> Path:
    # of this process's own range: a run must not reach the API of another process's test
    port = make_settings(tmp_path).api_port
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MILLRACE_API_PORT", str(port))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MILLRACE_KAFKA_PORT", "9")
    return tmp_path / "home"


@pytest.fixture
def platform(home: Path) -> Iterator[Callable[..., Any]]:
    """A real API with a worker that does the stages."""
    running: list[tuple[uvicorn.Server, threading.Thread, Worker]] = []

    def begin(*, broken: str | None = None) -> Any:
        settings = Settings()
        app = create_app(settings)
        server = uvicorn.Server(uvicorn.Config(app, port=settings.api_port, log_level="warning"))
        thread = threading.Thread(target=server.run)
        thread.start()
        worker = Worker(app, broken=broken)
        running.append((server, thread, worker))
        while not server.started and thread.is_alive():
            time.sleep(0.02)
        assert server.started, f"port {settings.api_port} was taken"
        worker.thread.start()
        return app

    yield begin
    for server, thread, worker in running:
        worker.stopped.set()
        worker.thread.join(10)
        server.should_exit = True
        thread.join(15)
        assert not thread.is_alive()
