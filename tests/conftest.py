"""Real parts that every test may use: a Kafka broker, MLflow, PostgreSQL, Chromium; and settings with free ports.

Above 300 lines because fixtures that rooms of several folders share can stand in no other file.
"""

import contextlib
import io
import json
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from millrace.contracts.errors import CannotReach
from millrace.contracts.identifiers import parse_partition_key
from millrace.contracts.references import Ref, dataset_ref
from millrace.contracts.task import Answers, PipelineSettings, StageRequest
from millrace.kafka.broker import EmbeddedBroker
from millrace.kafka.jars import broker_jars
from millrace.kafka.java import find_java
from millrace.settings import Settings
from millrace.warehouse.models import ModelFacts
from millrace.warehouse.saves import Made, save_model
from millrace.warehouse.stage_work import StageWork
from millrace.warehouse.store import Warehouse
from millrace.warehouse.uploads import receive, store_upload

REAL = "MILLRACE_REQUIRE_REAL"
_FOREIGN = ("MILLRACE_", "KAFKA_", "MLFLOW_", "DAGSTER_", "API_KEY", "API_SECRET",
            "LLM_", "MODEL_NAME", "INPUT_TOPIC", "OUTPUT_TOPIC")  # fmt: skip
_PORTS = (
    "MILLRACE_API_PORT",
    "MILLRACE_KAFKA_PORT",
    "MILLRACE_KAFKA_CONTROLLER_PORT",
    "MILLRACE_DAGSTER_PORT",
    "MILLRACE_CODE_SERVER_PORT",
    "MILLRACE_MLFLOW_PORT",
    "MILLRACE_CONDUCTOR_PORT",
    "MILLRACE_LLM_PORT",
)

MakeSettings = Callable[..., Settings]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Journeys come first: they are the longest piece, and what is left fills the processes beside theirs."""
    items.sort(key=lambda item: item.path.parent.name != "journeys")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """A file's tests stay in one process, and all journeys, which share one platform, in another."""
    return _JourneysTogether(config, log)


class _JourneysTogether(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "tests/journeys" if file.startswith("tests/journeys/") else file


def require_real(there: object, reason: str) -> None:
    """Skips the test for `reason` when the part is not there, or fails it where every part must be."""
    if there:
        return
    if os.environ.get(REAL) == "1":
        pytest.fail(f"{REAL}=1 and {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def _own_environment() -> Iterator[None]:
    """No setting of the person who runs the tests reaches them, but for the cache of the broker's jars."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(_FOREIGN) and name not in (REAL, "MILLRACE_CACHE"):
                patch.delenv(name)
        patch.setenv("GX_ANALYTICS_ENABLED", "false")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        # eight processes for features that we do not use
        patch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
        patch.setenv("DO_NOT_TRACK", "true")
        yield


def free_ports(count: int) -> list[int]:
    """Ports that nothing held a moment ago, all different.

    They lie below the range from which systems give ports to outgoing connections: one of those could take a port
    between this look and the server's start.
    """
    ports: list[int] = []
    # each process that runs tests has a range of its own: it would see the same ports free as the others
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
    for number in random.sample(range(15_000 + 2_000 * worker, 17_000 + 2_000 * worker), 2_000):
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", number))
            except OSError:
                continue
        ports.append(number)
        if len(ports) == count:
            return ports
    raise AssertionError("no free ports")


def settings_in(folder: Path, **environment: str | int) -> Settings:
    """Settings of a home in the folder, on free ports; `environment` overrides variables by their names."""
    ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
    return Settings.model_validate({"MILLRACE_HOME": folder / "home", **ports, **environment})


@pytest.fixture(scope="session")
def make_settings() -> MakeSettings:
    """`make_settings(tmp_path, MILLRACE_POLICY="autopilot", …)` gives settings of a home there, on free ports."""
    return settings_in


@pytest.fixture(scope="session")
def new_instance(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Any]:
    """`new_instance(folder)` gives an empty Dagster instance with the platform's storage there.

    Its tables are copied: Dagster makes them in dozens of steps.
    """
    from dagster import DagsterInstance

    def open_in(folder: Path) -> DagsterInstance:
        config = {"module": "warm_runs.sqlite", "class": "WarmSqliteStorage", "config": {"base_dir": str(folder / "s")}}
        text = json.dumps({"telemetry": {"enabled": False}, "storage": {"custom": config}})
        (folder / "dagster.yaml").write_text(text)
        return DagsterInstance.from_config(str(folder))

    template = tmp_path_factory.mktemp("dagster")
    with open_in(template) as made:
        made.all_asset_keys()

    def copy(folder: Path) -> DagsterInstance:
        folder.mkdir(parents=True)
        shutil.copytree(template / "s", folder / "s")
        return open_in(folder)

    return copy


@pytest.fixture(scope="session")
def broker_parts() -> None:
    """Java and the broker's jars; skips, or fails where every part must be."""
    reason = ""
    try:
        find_java()
        broker_jars(Settings())
    except CannotReach as error:
        reason = f"the broker cannot run: {error.message}"
    require_real(not reason, reason)


@pytest.fixture(scope="session")
def broker_settings(broker_parts: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings whose LOCAL_SIM broker runs for the whole session; topics have names of the tests' own."""
    settings = settings_in(tmp_path_factory.mktemp("broker"))
    with EmbeddedBroker(settings):
        yield settings


@pytest.fixture(scope="session")
def broker(broker_settings: Settings) -> str:
    """Bootstrap address of a real broker that the whole session shares; it creates no topic by itself."""
    return broker_settings.bootstrap


@pytest.fixture
def broker_factory(
    broker_parts: None, tmp_path: Path, make_settings: MakeSettings
) -> Iterator[Callable[[], EmbeddedBroker]]:
    """Makes brokers (not started) that the test may start, stop, kill and wipe; all are stopped in the end."""
    made: list[EmbeddedBroker] = []

    def make() -> EmbeddedBroker:
        made.append(EmbeddedBroker(make_settings(tmp_path / f"broker-{len(made)}")))
        return made[-1]

    yield make
    for one in made:
        one.kill()


@pytest.fixture(scope="session")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real MLflow server that the whole session shares."""
    import httpx

    folder = tmp_path_factory.mktemp("mlflow")
    (port,) = free_ports(1)
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    url, deadline, answered = f"http://127.0.0.1:{port}", time.monotonic() + 120, False
    try:
        while not answered:
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "MLflow did not answer within 120 s"
            time.sleep(0.3)
            with contextlib.suppress(httpx.HTTPError):
                answered = httpx.get(f"{url}/health", timeout=2).status_code == 200
        yield url
    finally:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(20)
        # its workers are processes of their own
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@pytest.fixture(scope="session")
def add_text_model(mlflow_url: str) -> Callable[..., ModelFacts]:
    """`add_text_model(settings, warehouse, "ada.reviews")` gives a model of texts as `millrace run` leaves it, in
    MLflow and in the warehouse; `frame` and `plan` train another one than of reviews."""
    from millrace.automl.plan import TrainingPlan
    from millrace.automl.registry import register
    from millrace.automl.train import train
    from millrace.examples.reviews import TARGET, generate_reviews

    def add(
        settings: Settings, warehouse: Warehouse, name: str, *, seed: int = 7, frame: Any = None, **plan: Any
    ) -> ModelFacts:
        rows = generate_reviews(rows=400, seed=seed) if frame is None else frame
        quick = {"target": TARGET, "task_type": "classification", "families": ("lrl2",), "max_trials": 2}
        asked = TrainingPlan(**(quick | {"time_budget": 60} | plan))
        training = train(rows, asked, jobs=1)
        key, text = parse_partition_key(name), io.BytesIO(rows.to_csv(index=False).encode())
        received = receive(text, file_name="reviews.csv", settings=settings, warehouse=warehouse)
        version = store_upload(warehouse, settings, received, key=key, name=name).version
        trained = register(training, tracking_uri=mlflow_url, key=key, dataset_sha256=version.table_sha256, tags={})
        work = StageWork(
            StageRequest(key, "automl", "run-1"), version, Answers(target=asked.target, task_type=asked.task_type),
            settings=PipelineSettings(), settings_source="by hand", approval="none", trace_parent=None,
        )  # fmt: skip
        table = Ref(dataset_ref(key, version.version), version.table_sha256, part="table")
        made = Made("model", (table,), {}, seed=7, rows_in=len(rows), rows_out=None, seconds=1.0)
        return save_model(warehouse, work, trained, made=made, announce=False)

    return add


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """SQLAlchemy URL of a real, empty PostgreSQL database; the server lives as long as the session."""
    programs = _postgres_programs()
    require_real(programs, "PostgreSQL's server programs (initdb, postgres) were not found")
    assert programs is not None
    folder = Path(tempfile.mkdtemp(prefix="millrace-postgres-"))
    as_user = _unprivileged(folder)
    (port,) = free_ports(1)
    try:
        subprocess.run(
            [programs / "initdb", "-D", folder / "data", "-U", "millrace", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True, capture_output=True, cwd=folder, **as_user,
        )  # fmt: skip
        server = subprocess.Popen(
            [programs / "postgres", "-D", folder / "data", "-p", str(port), "-k", "", "-F",
             "-c", "listen_addresses=127.0.0.1"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, start_new_session=True, **as_user,
        )  # fmt: skip
        try:
            _wait_for_postgres(port)
            yield f"postgresql+psycopg://millrace@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[str]:
    """SQLAlchemy URL of a new, empty database on the session's PostgreSQL; it is dropped in the end."""
    from sqlalchemy import create_engine, text

    name = f"test_{uuid.uuid4().hex[:12]}"
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield postgres_url.removesuffix("postgres") + name
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


def _postgres_programs() -> Path | None:
    folders = [Path(folder) for folder in Path("/usr/lib/postgresql").glob("*/bin")]
    folders.sort(key=lambda path: int(path.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    return next((one for one in folders if (one / "initdb").exists() and (one / "postgres").exists()), None)


def _unprivileged(folder: Path) -> dict[str, Any]:
    """How to run the server programs, which refuse root; the folder is given to who runs them."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    entry = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _wait_for_postgres(port: int, *, seconds: float = 30) -> None:
    import psycopg

    deadline = time.monotonic() + seconds
    while True:
        try:
            psycopg.connect(host="127.0.0.1", port=port, user="millrace", dbname="postgres").close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "PostgreSQL did not start"
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium or Chrome that can run headless."""
    names = ("chromium", "chromium-headless", "chromium-browser", "google-chrome", "chrome-headless-shell")
    found = next((path for path in map(shutil.which, names) if path), None)
    require_real(found, "no Chromium is on the PATH")
    assert found is not None
    return found
