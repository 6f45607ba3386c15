"""What the tests of warm runs stand on: launches, waits, kills."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.workspace.context import WorkspaceProcessContext

from warm_runs.ledger import Ledger
from warm_runs.wire import ask

MAX_CHILDREN = 3
"""Of the shared pool: small, so that runs wait."""
MAX_PRELOADED = 2
"""Of the shared pool: as many as the tests have locations that need a process of their own."""


@dataclass
class Ground:
    """What a test works with."""

    folder: Path
    instance: DagsterInstance
    workspace: WorkspaceProcessContext
    environment: dict[str, str]
    pool: subprocess.Popen[bytes] | None = None
    launched: list[str] = field(default_factory=list)

    @property
    def socket(self) -> Path:
        return self.folder / "pool.sock"

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.socket.with_suffix(".db"))

    @property
    def code(self) -> Path:
        return self.folder / "code"

    @property
    def log(self) -> str:
        return (self.folder / "pool.log").read_text()

    def wait_for(self, condition: Callable[[], object], what: str, *, seconds: float = 60) -> None:
        wait_for(condition, what, seconds=seconds)

    def ensure_pool(self) -> None:
        if self.pool is None or self.pool.poll() is not None:
            self.start_pool()

    def start_pool(self) -> None:
        warmed = self.log.count(" warmed pointer") if (self.folder / "pool.log").exists() else 0
        with (self.folder / "pool.log").open("ab") as log:
            self.pool = subprocess.Popen(
                [sys.executable, "-m", "warm_runs.service", "--socket", str(self.socket), "--grace", "1",
                 "--max-children", str(MAX_CHILDREN), "--max-preloaded", str(MAX_PRELOADED),
                 "--code", "warm_location:defs"],
                cwd=self.code, env=self.environment, stdout=log, stderr=log,
            )  # fmt: skip
        wait_for(lambda: self.log.count(" warmed pointer") > warmed, "a preloaded process", seconds=60)

    def stop_pool(self) -> None:
        if self.pool is not None:
            self.pool.terminate()
            self.pool.wait(10)

    def kill_pool(self) -> None:
        assert self.pool is not None
        self.pool.kill()
        self.pool.wait()

    def status(self) -> dict[str, Any]:
        return ask(self.socket, {"op": "status"}, timeout_s=10)

    def preloaded_pid(self) -> int:
        (pid,) = [one["pid"] for one in self.status()["preloaded"] if "warm_location" in one["code"]]
        return int(pid)

    def loading_pids(self) -> list[int]:
        """Of the processes that the pool has made and that are not ready yet."""
        assert self.pool is not None
        ready = {one["pid"] for one in self.status()["preloaded"]}
        return sorted(child.pid for child in psutil.Process(self.pool.pid).children() if child.pid not in ready)

    def create(self, job_name: str, *, module: str | None = None, **tags: str) -> str:
        with self.workspace.create_request_context() as context:
            repository = next(iter(context.code_locations[0].get_repositories().values()))
            remote = repository.get_full_job(job_name)
            plan = context.code_locations[0].get_execution_plan(remote, {}, None, None)
            origin = remote.get_python_origin()
            run = self.instance.create_run(
                job_name=job_name, run_id=None, run_config={}, status=DagsterRunStatus.NOT_STARTED, tags=tags,
                root_run_id=None, parent_run_id=None, step_keys_to_execute=None,
                execution_plan_snapshot=plan.execution_plan_snapshot, job_snapshot=remote.job_snapshot,
                parent_job_snapshot=None, asset_selection=None, asset_check_selection=None,
                resolved_op_selection=None, op_selection=None, remote_job_origin=remote.get_remote_origin(),
                job_code_origin=origin if module is None else _in_module(origin, module),
                asset_graph=repository.asset_graph,
            )  # fmt: skip
        self.launched.append(run.run_id)
        return run.run_id

    def launch(self, job_name: str, *, module: str | None = None, **tags: str) -> str:
        run_id = self.create(job_name, module=module, **tags)
        with self.workspace.create_request_context() as context:
            self.instance.launch_run(run_id, context)
        return run_id

    def terminate(self, run_id: str) -> bool:
        return self.instance.run_launcher.terminate(run_id)

    def health(self, run_id: str) -> str:
        return str(self.instance.run_launcher.check_run_worker_health(self.run(run_id)).status.value)

    def run(self, run_id: str) -> DagsterRun:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run

    def has_body(self, run_id: str) -> bool:
        return (self.folder / "out" / run_id).exists()

    def said(self, run_id: str, *, seconds: float = 60) -> dict[str, Any]:
        wait_for(lambda: self.has_body(run_id), f"the body of {run_id}", seconds=seconds)
        told: dict[str, Any] = json.loads((self.folder / "out" / run_id).read_text())
        return told

    def ends(self, run_id: str, *, seconds: float = 60) -> DagsterRunStatus:
        wait_for(lambda: self.run(run_id).is_finished, f"the end of {run_id}", seconds=seconds)
        return self.run(run_id).status

    def messages(self, run_id: str) -> str:
        """What the run's log says, causes of errors included."""
        said = []
        for record in self.instance.all_logs(run_id):
            data = record.dagster_event.event_specific_data if record.dagster_event else None
            said += [record.message, str(getattr(data, "error", ""))]
        return "\n".join(said)

    def end_runs(self) -> None:
        """Ends what the test has launched and waits until a pool that is there has nothing left."""
        for run_id in self.launched:
            if self.has_body(run_id) and not self.run(run_id).is_finished:
                kill(self.said(run_id)["pid"])
        self.launched.clear()
        if self.pool is not None and self.pool.poll() is None:
            wait_for(lambda: self.ledger.entries() == [], "an empty ledger")


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def wait_for(condition: Callable[[], object], what: str, *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def _in_module(origin: JobPythonOrigin, module: str) -> JobPythonOrigin:
    before = origin.repository_origin
    assert isinstance(before.code_pointer, ModuleCodePointer)
    pointer = ModuleCodePointer(module, before.code_pointer.fn_name, before.code_pointer.working_directory)
    return JobPythonOrigin(
        origin.job_name,
        RepositoryPythonOrigin(
            executable_path=before.executable_path, code_pointer=pointer, container_image=None,
            entry_point=before.entry_point, container_context=None,
        ),
    )  # fmt: skip
