"""A code location, code server, web pages, daemon and pool in a folder, for a soak that breaks them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from _platform import free_ports

GRACE_S = 2
MARKER = "WARM_RUNS_SOAK"
"""Environment variable that every process of the soak inherits: what bears it is ours."""
CODE = """
import os, signal, time
from pathlib import Path
from dagster import Definitions, in_process_executor, job, op

def mark(context, what):
    started = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    Path(os.environ["WARM_RUNS_SOAK"], "out", f"{context.run_id}.{os.getpid()}.{what}").write_text(started)

@op(config_schema={"seconds": float, "deaf": bool})
def body(context):
    if context.op_config["deaf"]:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    mark(context, "begun")
    end = time.monotonic() + context.op_config["seconds"]
    while time.monotonic() < end:
        time.sleep(0.05)
    mark(context, "done")

@job(executor_def=in_process_executor)
def one(): body()

@job
def steps(): body()

defs = Definitions(jobs=[one, steps])
"""
FAULT = "\nraise RuntimeError('planted fault')\n"
_INSTANCE = f"""
telemetry: {{enabled: false}}
storage: {{custom: {{module: warm_runs.sqlite, class: WarmSqliteStorage, config: {{base_dir: HOME}}}}}}
run_coordinator: {{module: dagster._core.run_coordinator, class: DefaultRunCoordinator}}
run_launcher:
  module: warm_runs.launcher
  class: WarmRunLauncher
  config: {{grace_s: {GRACE_S}.0}}
run_monitoring: {{enabled: true, poll_interval_seconds: 2, start_timeout_seconds: 180, cancel_timeout_seconds: 60}}
"""
_LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) { __typename ... on LaunchRunSuccess { run { runId } } }
}
"""
_TERMINATE = """
mutation ($id: String!) {
  terminateRuns(runIds: [$id], terminatePolicy: SAFE_TERMINATE) {
    ... on TerminateRunsResult { terminateRunResults { __typename } }
  }
}
"""


@dataclass
class Parts:
    """What is up, and how to break it."""

    folder: Path
    environment: dict[str, str]
    port: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """DAGSTER_HOME."""
        return self.folder / "home"

    def start(self, name: str, *command: str) -> None:
        """Starts a program; its output is appended to NAME.log."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *command], cwd=self.folder / "code", env=self.environment, stdout=log, stderr=log
            )

    def start_pool(self) -> None:
        """Starts the pool, with room for eight runs."""
        self.start(
            "pool", "warm_runs.service", "--grace", str(GRACE_S), "--max-children", "8", "--code", "soak_location:defs"
        )

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """Ends a program and waits for it."""
        process = self.processes.pop(name)
        process.send_signal(number)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def write(self, code: str) -> None:
        """Replaces the code in one step, as an editor does."""
        part = self.folder / "code" / "soak_location.part"
        part.write_text(code)
        part.replace(part.with_suffix(".py"))

    def launch(self, job: str, *, seconds: float, deaf: bool) -> str:
        """Id of a new run, launched over GraphQL."""
        selector = {"repositoryLocationName": "here", "repositoryName": "__repository__", "jobName": job}
        config = json.dumps({"ops": {"body": {"config": {"seconds": seconds, "deaf": deaf}}}})
        launched = self._ask(_LAUNCH, {"params": {"selector": selector, "runConfigData": config}})["launchRun"]
        if launched["__typename"] != "LaunchRunSuccess":
            raise SystemExit(f"not launched: {launched}")
        return str(launched["run"]["runId"])

    def terminate(self, run_id: str) -> bool:
        """Terminates a run over GraphQL; false when Dagster refuses, as it does for a run that is starting."""
        (result,) = self._ask(_TERMINATE, {"id": run_id})["terminateRuns"]["terminateRunResults"]
        return bool(result["__typename"] == "TerminateRunSuccess")

    def marks(self, run_id: str, what: str) -> list[int]:
        """Pids of the processes in which the body has `begun`, or is `done`."""
        return [int(path.name.split(".")[1]) for path in (self.folder / "out").glob(f"{run_id}.*.{what}")]

    def executing(self, run_id: str) -> list[int]:
        """Pids of the processes in which the body has begun, those that are still there.

        Pids are given again, within the hour too: a mark says when its process was started.
        """
        found = []
        for mark in (self.folder / "out").glob(f"{run_id}.*.begun"):
            pid = int(mark.name.split(".")[1])
            try:
                started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if started == mark.read_text():
                found.append(pid)
        return found

    def left(self) -> list[int]:
        """Pids of the processes that bear the marker."""
        needle = f"{MARKER}={self.folder}".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if needle in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
        return found

    def zygotes(self) -> list[int]:
        """Pids of the preloaded processes, their children left out."""
        found = []
        for pid in self.left():
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes()
                parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            pool = self.processes.get("pool")
            if b"warm_runs.zygote" in words and pool is not None and parent == pool.pid:
                found.append(pid)
        return found

    def _ask(self, query: str, variables: dict[str, Any]) -> Any:
        answer = httpx.post(
            f"http://127.0.0.1:{self.port}/graphql", json={"query": query, "variables": variables},
            trust_env=False, timeout=120,
        )  # fmt: skip
        return answer.raise_for_status().json()["data"]


@contextmanager
def soak_parts(folder: Path) -> Iterator[Parts]:
    """Everything up; ended in the end, whatever has become of it."""
    for name in ("home", "code", "out"):
        (folder / name).mkdir()
    (folder / "home" / "dagster.yaml").write_text(_INSTANCE.replace("HOME", str(folder / "home")))
    (port,) = free_ports(1)
    environment = {
        **os.environ, MARKER: str(folder), "DAGSTER_HOME": str(folder / "home"), "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join([str(folder / "code"), os.environ.get("PYTHONPATH", "")]),
    }  # fmt: skip
    parts = Parts(folder, environment, port)
    parts.write(CODE)
    socket = folder / "code.sock"
    (folder / "home" / "workspace.yaml").write_text(
        f"load_from:\n  - grpc_server: {{host: localhost, socket: {socket}, location_name: here}}\n"
    )
    try:
        parts.start("code-server", "dagster", "api", "grpc", "--socket", str(socket), "-m", "soak_location",
                    "--use-python-environment-entry-point")  # fmt: skip
        _wait(socket.exists)
        workspace = ("-w", str(folder / "home" / "workspace.yaml"))
        parts.start("webserver", "dagster_webserver", "-h", "127.0.0.1", "-p", str(port), *workspace)
        _wait(lambda: _answers(port))
        parts.start("daemon", "dagster._daemon", "run", *workspace)
        parts.start_pool()
        yield parts
    finally:
        for pid in parts.left():
            if pid != os.getpid():
                os.kill(pid, signal.SIGKILL)
        for process in parts.processes.values():
            process.wait()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/server_info", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def _wait(condition: Any) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("a part did not come up")
        time.sleep(0.1)
