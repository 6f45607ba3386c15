"""Real parts that every test may use: a Kafka broker, MLflow, PostgreSQL, Chromium; and settings with free ports.

The processes of a run share one broker, one MLflow server and one PostgreSQL: each costs 12 to 25 s of a
processor, most of it for its start, and names of topics, models and databases are a test's own anyway.

Above 300 lines because fixtures that rooms of several folders share can stand in no other file.
"""

import gc
import hashlib
import importlib.util
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
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from xdist.scheduler import LoadFileScheduling

from millrace.contracts.errors import CannotReach
from millrace.contracts.identifiers import parse_partition_key
from millrace.contracts.references import Ref, dataset_ref
from millrace.contracts.task import Answers, PipelineSettings, StageRequest
from millrace.kafka.broker import EmbeddedBroker, broker_answers, prepare_broker
from millrace.kafka.clients import admin_config
from millrace.kafka.jars import broker_jars
from millrace.kafka.java import find_java
from millrace.settings import Settings
from millrace.warehouse.models import ModelFacts
from millrace.warehouse.saves import Made, save_model
from millrace.warehouse.stage_work import StageWork
from millrace.warehouse.store import Warehouse, open_warehouse
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

# More processes than cores run tests: threads of a library beside them only wait for each other, which took a third of
# the processor's time. Read when a library is loaded. What must notice a library that leaves threads takes them out
# again: the pools of warm runs, and the test of what is imported before runs are forked
for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

# Thousands of modules and test items live as long as the process: looked through for cycles at Python's own pace, they
# take a tenth of its time
gc.set_threshold(20_000, 10, 50)


def _shared_parts() -> Any:
    # the tests are no package: a module beside them is loaded by its path
    spec = importlib.util.spec_from_file_location("shared_parts", Path(__file__).with_name("shared_parts.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_SHARED = pytest.StashKey[Any]()


def pytest_configure(config: pytest.Config) -> None:
    """The process that gives out the tests owns what all share."""
    told = getattr(config, "workerinput", None)
    config.stash[_SHARED] = _shared_parts().SharedParts(None if told is None else Path(told["shared_parts"]))


def pytest_configure_node(node: Any) -> None:
    """Tells a process that runs tests where the shared parts are written down."""
    node.workerinput["shared_parts"] = str(node.config.stash[_SHARED].folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends the shared parts after the last test of all processes."""
    shared = config.stash[_SHARED]
    if shared.owned:
        shared.end()


_TOGETHER = {
    # they share one platform
    "platform": tuple(
        f"tests/journeys/test_{name}.py" for name in ("decisions", "documents", "governed_chain", "main_job", "streams")
    ),
    # AutoML, shap, torch, MLflow and Great Expectations take twenty seconds of a processor to import
    "models": (
        "tests/millrace/automl/", "tests/millrace/text/", "tests/millrace/explain/", "tests/millrace/quality/",
        "tests/journeys/test_assets_by_hand.py", "tests/journeys/test_mitigation", "tests/assets/",
        "tests/journeys/test_scoring_model.py", "tests/jobs/test_champion.py", "tests/millrace/lineage/test_models.py",
        "tests/millrace/streams/documents/test_transformers_serve.py",
    ),
    # they share one code server and one pool
    "warm runs": ("tests/warm_runs/",),
}  # fmt: skip
"""What stays in one process."""
_FIRST = (
    "platform", "models", "tests/millrace/warehouse/test_relay.py", "tests/journeys/test_platform_lifecycle.py",
    "warm runs", "tests/millrace/kafka/test_stream_kills.py", "tests/millrace/kafka/test_stream_loop.py",
    "tests/millrace/streams/documents/test_documents_stream.py",
)  # fmt: skip
"""The longest, in the order in which they are given out, those that compute beside those that wait: what is left fills
the processes beside them."""


def _piece(nodeid: str) -> str:
    """What is given out as one: a file, or the files that stay together."""
    file = nodeid.split("::", 1)[0]
    return next((name for name, starts in _TOGETHER.items() if nodeid.startswith(starts)), file)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long pieces first, then all others with the rooms mixed: some compute, some wait; both at once is best."""

    def place(item: pytest.Item) -> tuple[int, str]:
        piece = _piece(item.nodeid)
        if piece in _FIRST:
            return _FIRST.index(piece), ""
        return len(_FIRST), hashlib.sha256(piece.encode()).hexdigest()

    items.sort(key=place)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """A file's tests stay in one process, and so do the files of a piece."""
    return _PiecesTogether(config, log)


class _PiecesTogether(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return _piece(nodeid)


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
def with_tables(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Settings], Settings]:
    """`with_tables(settings)` puts a SQLite database with the warehouse's tables, and nothing in them, into the home.

    They are copied: the migrations take ten times as long.
    """
    template = settings_in(tmp_path_factory.mktemp("warehouse"))
    open_warehouse(template, migrate=True).engine.dispose()

    def copy(settings: Settings) -> Settings:
        settings.home.mkdir(parents=True, exist_ok=True)
        shutil.copy(template.home / "warehouse.db", settings.home / "warehouse.db")
        return settings

    return copy


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
def shared_parts(pytestconfig: pytest.Config) -> Any:
    """Servers that all processes of the run share."""
    return pytestconfig.stash[_SHARED]


@pytest.fixture(scope="session")
def broker_settings(broker_parts: None, shared_parts: Any) -> Settings:
    """Settings whose LOCAL_SIM broker runs for the whole run; topics have names of the tests' own."""

    def start(folder: Path) -> dict[str, Any]:
        settings = settings_in(folder)
        server = shared_parts.run(prepare_broker(settings), log=folder / "log")
        _wait_until(lambda: broker_answers(admin_config(settings)), server, folder / "log")
        return {"settings": settings.model_dump(mode="json", by_alias=True)}

    return Settings.model_validate(shared_parts.get("broker", start)["settings"])


@pytest.fixture(scope="session")
def broker(broker_settings: Settings) -> str:
    """Bootstrap address of a real broker that the whole run shares; it creates no topic by itself."""
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
def process_on() -> Callable[[int], psutil.Process]:
    """`process_on(port)` gives the one process that listens on the port."""

    def find(port: int) -> psutil.Process:
        listening = [one for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
        (pid,) = {one.pid for one in listening if one.laddr.port == port}
        return psutil.Process(pid)

    return find


@pytest.fixture(scope="session")
def mlflow_served(shared_parts: Any) -> dict[str, str]:
    """`url` and folder of `artifacts` of a real MLflow server that the whole run shares; models and experiments have
    names of the tests' own."""
    import httpx

    def start(folder: Path) -> dict[str, Any]:
        (port,) = free_ports(1)
        command = [
            sys.executable, "-m", "millrace.stack.mlflow_server", "server",
            "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
            "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}",
            "--artifacts-destination", str(folder / "artifacts"),
        ]  # fmt: skip
        url = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            try:
                return httpx.get(f"{url}/health", timeout=2, verify=False).status_code == 200
            except httpx.HTTPError:
                return False

        _wait_until(answers, shared_parts.run(command, log=folder / "log"), folder / "log")
        return {"url": url, "artifacts": str(folder / "artifacts")}

    found: dict[str, str] = shared_parts.get("mlflow", start)
    return found


@pytest.fixture(scope="session")
def mlflow_url(mlflow_served: dict[str, str]) -> str:
    """URL of the server."""
    return mlflow_served["url"]


def _wait_until(answers: Callable[[], bool], server: "subprocess.Popen[bytes]", log: Path) -> None:
    # an MLflow server makes its tables first, and has the machine seldom to itself
    deadline = time.monotonic() + 180
    while not answers():
        assert server.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < deadline, f"no answer within 180 s: {log.read_text()[-3000:]}"
        time.sleep(0.2)


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
def postgres_url(shared_parts: Any) -> str:
    """SQLAlchemy URL of a real PostgreSQL server's own database; the server lives as long as the run."""
    programs = _postgres_programs()
    require_real(programs, "PostgreSQL's server programs (initdb, postgres) were not found")
    assert programs is not None

    def start(folder: Path) -> dict[str, Any]:
        as_user = _unprivileged(folder)
        (port,) = free_ports(1)
        subprocess.run(
            [programs / "initdb", "-D", folder / "data", "-U", "millrace", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True, capture_output=True, cwd=folder, **as_user,
        )  # fmt: skip
        server = shared_parts.run(
            [programs / "postgres", "-D", folder / "data", "-p", str(port), "-k", "", "-F",
             "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=300"],
            log=folder / "log", stop=signal.SIGINT, **as_user,
        )  # fmt: skip
        _wait_until(lambda: _postgres_answers(port), server, folder / "log")
        return {"url": f"postgresql+psycopg://millrace@127.0.0.1:{port}/postgres"}

    return str(shared_parts.get("postgres", start)["url"])


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[str]:
    """SQLAlchemy URL of a new, empty database on the run's PostgreSQL; it is dropped in the end."""
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


def _postgres_answers(port: int) -> bool:
    import psycopg

    try:
        psycopg.connect(host="127.0.0.1", port=port, user="millrace", dbname="postgres").close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium or Chrome that can run headless."""
    names = ("chromium", "chromium-headless", "chromium-browser", "google-chrome", "chrome-headless-shell")
    found = next((path for path in map(shutil.which, names) if path), None)
    require_real(found, "no Chromium is on the PATH")
    assert found is not None
    return found
