"""Broker, code server, daemon, web pages and, where wanted, the pool of warm runs: for benchmarks of Dagster's way."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import yaml
from _platform import free_ports
from _postgres import postgres

from millrace.contracts import topics as headers
from millrace.contracts.events import BiasTrigger
from millrace.contracts.identifiers import DatasetKey
from millrace.kafka.broker import EmbeddedBroker
from millrace.kafka.topics import create_topics
from millrace.settings import Settings
from millrace.stack.dagster_home import create_storage, install_dagster_home
from millrace.stack.environment import child_environment
from millrace.stack.programs import programs
from millrace.warehouse.store import open_warehouse
from millrace.warehouse.uploads import receive, store_upload

ROOT = Path(__file__).parent.parent
FIRST_STEP = "data_quality"
END_SECONDS = 300
"""Longest wait for runs to end."""
_LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}
"""
_PORTS = ("API", "KAFKA", "KAFKA_CONTROLLER", "DAGSTER", "CODE_SERVER", "MLFLOW", "CONDUCTOR")


@dataclass(frozen=True)
class Orchestration:
    """What is up. Triggers name an attempt that does not exist: the asset's code starts, finds that out and ends."""

    settings: Settings
    instance: Any
    producer: Any

    def send(self, first: int, count: int = 1) -> float:
        """Sends events `first` … `first + count - 1`; the time in seconds since the epoch when it began."""
        event = BiasTrigger.write(
            user_id="bench", dataset_id="rows", target_column_name="approved", task_type="classification",
            record_count=60,
        )  # fmt: skip
        moment = time.time()
        for number in range(first, first + count):
            self.producer.produce(
                self.settings.bias_trigger_topic, event.to_bytes(), key=b"bench.rows", partition=0,
                headers={headers.PIPELINE: "none", headers.ATTEMPT: str(number)},
            )  # fmt: skip
        if self.producer.flush(10):
            raise SystemExit("the broker did not take the events")
        return moment

    def launch(self) -> tuple[str, float]:
        """Launches the job as the web pages do; the run's id, and the time when that began."""
        like = next(run for run in self.instance.get_runs() if "dagster/run_key" in run.tags)
        tags = {
            name: value
            for name, value in like.tags.items()
            if name.startswith("millrace/") or name == "dagster/partition"
        }
        selector = {
            "repositoryLocationName": "definitions", "repositoryName": "__repository__", "jobName": like.job_name,
        }  # fmt: skip
        params = {
            "selector": selector,
            "runConfigData": {},
            "executionMetadata": {"tags": [{"key": name, "value": value} for name, value in tags.items()]},
        }
        moment = time.time()
        answer = httpx.post(
            f"http://127.0.0.1:{self.settings.dagster_port}/graphql",
            json={"query": _LAUNCH, "variables": {"params": params}}, trust_env=False, timeout=60,
        )  # fmt: skip
        launched = answer.raise_for_status().json()["data"]["launchRun"]
        if launched["__typename"] != "LaunchRunSuccess":
            raise SystemExit(f"the run was not launched: {launched}")
        return str(launched["run"]["runId"]), moment

    def wait_for_runs(self, count: int) -> None:
        """Returns when that many runs have ended; SystemExit with their states after END_SECONDS."""
        deadline = time.monotonic() + END_SECONDS
        while self.instance.get_runs_count(_finished()) < count:
            if time.monotonic() > deadline:
                raise SystemExit(f"{count} runs did not end: {[run.status for run in self.instance.get_runs()]}")
            time.sleep(0.5)

    def ended_without_a_start(self, keys: Iterable[str]) -> list[str]:
        """Events and runs of `keys` that have no start of the asset's code, with what their runs' logs say last."""
        starts = self.starts()
        said = []
        for run in self.instance.get_runs():
            key = run.tags.get("dagster/run_key", run.run_id).rpartition("/")[2]
            if key in set(keys) - starts.keys():
                last = [record.user_message for record in self.instance.all_logs(run.run_id)][-4:]
                said.append(f"{key} {run.status.value}: {last}")
        return [*said, *(f"{key}: no run" for key in set(keys) - starts.keys() if not said)]

    def starts(self) -> dict[str, float]:
        """When the asset's code began, by run id, and by event number for runs of events."""
        found = {}
        for run in self.instance.get_runs():
            for step in self.instance.get_run_step_stats(run.run_id):
                if step.step_key == FIRST_STEP and step.start_time:
                    key = run.tags.get("dagster/run_key")
                    found[run.run_id if key is None else key.rpartition("/")[2]] = step.start_time
        return found


@contextmanager
def orchestration(folder: Path, *, warm: bool, queue: bool, storage: str) -> Iterator[Orchestration]:
    """All parts, up, with the code loaded; `queue` keeps the queued coordinator with its lanes."""
    from confluent_kafka import Producer
    from dagster import DagsterInstance

    if storage == "postgres" and find_spec("dagster_postgres") is None:
        raise SystemExit("Dagster on PostgreSQL needs the package dagster-postgres: pip install dagster-postgres")
    ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
    with ExitStack() as stack:
        url = stack.enter_context(postgres()) if storage == "postgres" else None
        settings = Settings.model_validate(
            {"MILLRACE_HOME": folder / "home", "MILLRACE_WARM_RUNS": warm, "MILLRACE_DAGSTER_DATABASE_URL": url}
            | {f"MILLRACE_{name}_PORT": port for name, port in ports.items()}
        )
        _store_data_set(settings)
        stack.enter_context(EmbeddedBroker(settings))
        create_topics(settings)
        install_dagster_home(settings)
        if not queue:
            _without_queue(settings.dagster_home / "dagster.yaml")
        environment = {**child_environment(settings), "GRPC_VERBOSITY": "ERROR"}
        create_storage(settings, environment)
        stack.enter_context(_processes(settings, environment))
        os.environ |= {
            name: environment[name] for name in ("DAGSTER_HOME", "MILLRACE_DAGSTER_DATABASE_URL") if name in environment
        }
        instance = stack.enter_context(DagsterInstance.get())
        producer = Producer({"bootstrap.servers": settings.bootstrap, "log_level": 0, "linger.ms": 0})
        # the connection is not the events': made before the clock starts
        producer.list_topics(settings.bias_trigger_topic, timeout=10)
        yield Orchestration(settings, instance, producer)


@contextmanager
def busy_core() -> Iterator[None]:
    """One core that has other work."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _store_data_set(settings: Settings) -> None:
    text = "number,sex,approved\n" + "".join(f"{n},{'fm'[n % 2]},{'yn'[n % 2]}\n" for n in range(60))
    warehouse = open_warehouse(settings, migrate=True)
    received = receive(io.BytesIO(text.encode()), file_name="b.csv", settings=settings, warehouse=warehouse)
    store_upload(warehouse, settings, received, key=DatasetKey("bench", "rows"), name="rows")


def _without_queue(path: Path) -> None:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    for name in ("run_queue", "concurrency"):
        document.pop(name)
    document["run_coordinator"] = {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")


@contextmanager
def _processes(settings: Settings, environment: dict[str, str]) -> Iterator[None]:
    wanted = {one.name: one for one in programs(settings, broker=None)}
    names = [name for name in ("code-server", "runs", "webserver", "daemon") if name in wanted]
    running: list[subprocess.Popen[bytes]] = []
    settings.logs.mkdir(parents=True, exist_ok=True)
    try:
        for name in names:
            with (settings.logs / f"{name}.log").open("wb") as log:
                running.append(
                    subprocess.Popen(
                        wanted[name].command, env={**environment, **wanted[name].environment},
                        stdout=log, stderr=log, cwd=ROOT, start_new_session=True,
                    )
                )  # fmt: skip
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            # the code server waits for its runs to end
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
        for process in running:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _finished() -> Any:
    from dagster import RunsFilter
    from dagster._core.storage.dagster_run import FINISHED_STATUSES

    return RunsFilter(statuses=FINISHED_STATUSES)
