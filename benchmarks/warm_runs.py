"""Seconds from a Kafka event to the asset's code, with one run launcher or another.

Broker, code server and daemon of the benchmark's own; third-party triggers for a data set of 60 rows arrive at random
times. Each names an attempt that does not exist: the asset's code starts, finds that out and ends, so that the figure
is the way to the code and no run's work slows the next one down.
"""

import argparse
import io
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from _report import report

from millrace.contracts import topics as headers
from millrace.contracts.events import BiasTrigger
from millrace.contracts.identifiers import DatasetKey
from millrace.kafka.broker import EmbeddedBroker
from millrace.kafka.topics import create_topics
from millrace.settings import Settings
from millrace.stack.dagster_home import create_storage, install_dagster_home
from millrace.stack.environment import child_environment
from millrace.warehouse.store import open_warehouse
from millrace.warehouse.uploads import receive, store_upload

ROOT = Path(__file__).parent.parent
FIRST_STEP = "data_quality"
WARM_UP_EVENTS = 2
BUDGETS = {"budget_p50_seconds": 1.3, "budget_p95_seconds": 2.8}
READY_SECONDS = 90
LATEST_SECONDS = 120
"""Longest wait for the last run."""


def main() -> None:
    """Runs the benchmark and leaves results/event_to_asset-NAME.json."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="millrace-bench-", ignore_cleanup_errors=True) as folder:
        settings = _settings(Path(folder), warm=options.launcher == "warm")
        _store_data_set(settings)
        with EmbeddedBroker(settings):
            create_topics(settings)
            install_dagster_home(settings)
            create_storage(settings, child_environment(settings))
            with _processes(settings):
                figures = _measure(settings, options)
    report(
        f"event_to_asset-{options.launcher}",
        {**figures, "events": options.events, **BUDGETS},
        seed=options.seed,
        command=" ".join(["python", "benchmarks/event_to_asset.py", *sys.argv[1:]]),
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--launcher", choices=("warm", "default"), default="warm", help="ours, or Dagster's own")
    parser.add_argument("--events", type=int, default=30)
    parser.add_argument("--spacing", type=float, nargs=2, default=(4.0, 11.0), help="seconds between events, uniform")
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


def _settings(folder: Path, *, warm: bool) -> Settings:
    names = ("API", "KAFKA", "KAFKA_CONTROLLER", "DAGSTER", "CODE_SERVER", "MLFLOW", "CONDUCTOR")
    ports = {f"MILLRACE_{name}_PORT": port for name, port in zip(names, _free_ports(len(names)), strict=True)}
    return Settings.model_validate({"MILLRACE_HOME": folder / "home", "MILLRACE_WARM_RUNS": warm, **ports})


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        ports = []
        for _ in range(count):
            one = held.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            ports.append(int(one.getsockname()[1]))
        return ports


def _store_data_set(settings: Settings) -> None:
    text = "number,sex,approved\n" + "".join(f"{n},{'fm'[n % 2]},{'yn'[n % 2]}\n" for n in range(60))
    warehouse = open_warehouse(settings, migrate=True)
    received = receive(io.BytesIO(text.encode()), file_name="b.csv", settings=settings, warehouse=warehouse)
    store_upload(warehouse, settings, received, key=DatasetKey("bench", "rows"), name="rows")


@contextmanager
def _processes(settings: Settings) -> Iterator[None]:
    from millrace.stack.programs import programs

    wanted = {one.name: list(one.command) for one in programs(settings, broker=None)}
    commands = [wanted[name] for name in ("code-server", "runs", "daemon") if name in wanted]
    environment = child_environment(settings)
    running: list[subprocess.Popen[bytes]] = []
    settings.logs.mkdir(parents=True, exist_ok=True)
    try:
        for number, command in enumerate(commands):
            with (settings.logs / f"{number}.log").open("wb") as log:
                running.append(
                    subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=ROOT, start_new_session=True)
                )
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


def _measure(settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    os.environ["DAGSTER_HOME"] = str(settings.dagster_home)
    from dagster import DagsterInstance

    chance = random.Random(options.seed)
    sent: dict[int, float] = {}
    with DagsterInstance.get() as instance:
        for number in range(WARM_UP_EVENTS):
            _send(settings, number)
            _wait_for_runs(instance, number + 1, seconds=READY_SECONDS)
        for number in range(WARM_UP_EVENTS, WARM_UP_EVENTS + options.events):
            time.sleep(chance.uniform(*options.spacing))
            sent[number] = _send(settings, number)
        _wait_for_runs(instance, WARM_UP_EVENTS + options.events, seconds=LATEST_SECONDS)
        began = _step_starts(instance)
    seconds = sorted(began[number] - moment for number, moment in sent.items())
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {
        "p50_seconds": round(statistics.median(seconds), 3),
        "p95_seconds": round(cuts[94], 3),
        "max_seconds": round(seconds[-1], 3),
        "min_seconds": round(seconds[0], 3),
        "spacing_seconds": list(options.spacing),
    }


def _send(settings: Settings, number: int) -> float:
    from confluent_kafka import Producer

    event = BiasTrigger.write(
        user_id="bench", dataset_id="rows", target_column_name="approved", task_type="classification", record_count=60
    )
    producer = Producer({"bootstrap.servers": settings.bootstrap, "log_level": 0})
    # the connection is not the event's: made before the clock starts
    producer.list_topics(settings.bias_trigger_topic, timeout=10)
    moment = time.time()
    producer.produce(
        settings.bias_trigger_topic,
        event.to_bytes(),
        key=b"bench.rows",
        partition=0,
        headers={headers.PIPELINE: "none", headers.ATTEMPT: str(number)},
    )
    if producer.flush(10):
        raise SystemExit("the broker did not take the event")
    return moment


def _step_starts(instance: Any) -> dict[int, float]:
    starts = {}
    for run in instance.get_runs():
        offset = int(run.tags["dagster/run_key"].rpartition("/")[2])
        for step in instance.get_run_step_stats(run.run_id):
            if step.step_key == FIRST_STEP and step.start_time:
                starts[offset] = step.start_time
    return starts


def _wait_for_runs(instance: Any, count: int, *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while sum(run.is_finished for run in instance.get_runs()) < count:
        if time.monotonic() > deadline:
            raise SystemExit(f"{count} runs did not end within {seconds} s: {[r.status for r in instance.get_runs()]}")
        time.sleep(0.5)


if __name__ == "__main__":
    main()
