"""A real Dagster instance, a real code location and a real pool, each in a folder of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget

CODE = """
import os, signal, time
from dagster import Definitions, in_process_executor, job, op

WORD = "first"

@op
def say(context):
    open(os.path.join(os.environ["WARM_TEST_OUT"], context.run_id), "w").write(f"{os.getpid()} {WORD} {time.time()}")

@op
def sleep(context):
    open(os.path.join(os.environ["WARM_TEST_OUT"], context.run_id), "w").write(f"{os.getpid()} {WORD} {time.time()}")
    while True:
        time.sleep(0.05)

@op
def stubborn(context):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sleep_forever(context)

def sleep_forever(context):
    open(os.path.join(os.environ["WARM_TEST_OUT"], context.run_id), "w").write(f"{os.getpid()} {WORD} {time.time()}")
    while True:
        time.sleep(0.05)

@op
def look(context):
    import json, random
    links = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            links[name] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            pass
    seen = {"links": links, "random": random.random(), "session": os.getsid(0)}
    seen |= {"pid": os.getpid(), "parent": os.getppid()}
    path = os.path.join(os.environ["WARM_TEST_OUT"], context.run_id)
    open(path + ".part", "w").write(json.dumps(seen))
    os.rename(path + ".part", path)

@job(executor_def=in_process_executor)
def inside(): look()

@job(executor_def=in_process_executor)
def quick(): say()

@job(executor_def=in_process_executor)
def slow(): sleep()

@job(executor_def=in_process_executor)
def deaf(): stubborn()

@job
def many_processes(): say()

defs = Definitions(jobs=[quick, slow, deaf, many_processes, inside])
"""


@dataclass
class Ground:
    """What a test works with."""

    folder: Path
    instance: DagsterInstance
    workspace: WorkspaceProcessContext
    environment: dict[str, str]
    original: str = CODE
    pool: subprocess.Popen[bytes] | None = None
    pids: list[int] = field(default_factory=list)

    @property
    def socket(self) -> Path:
        return self.folder / "pool.sock"

    @property
    def code(self) -> Path:
        return self.folder / "warm_location.py"

    @staticmethod
    def wait_for(condition: Callable[[], object], what: str, *, seconds: float = 30) -> None:
        wait_for(condition, what, seconds=seconds)

    def start_pool(self, *options: str) -> None:
        with (self.folder / "pool.log").open("ab") as log:
            self.pool = subprocess.Popen(
            [sys.executable, "-m", "warm_runs.service", "--socket", str(self.socket), "--grace", "2",
             "--module", "warm_location", *options],
            cwd=self.folder, env=self.environment,
            stdout=log, stderr=log,
        )  # fmt: skip
        wait_for(self.socket.exists, "the pool's socket")

    def warm(self) -> None:
        wait_for(lambda: "warmed" in (self.folder / "pool.log").read_text(), "a preloaded process", seconds=60)

    def kill_pool(self) -> None:
        assert self.pool is not None
        self.pool.kill()
        self.pool.wait()

    def launch(self, job_name: str, **tags: str) -> str:
        with self.workspace.create_request_context() as context:
            location = context.code_locations[0]
            repository = next(iter(location.get_repositories().values()))
            remote = repository.get_full_job(job_name)
            plan = location.get_execution_plan(remote, {}, None, None)
            run = self.instance.create_run(
                job_name=job_name, run_id=None, run_config={}, status=DagsterRunStatus.NOT_STARTED, tags=tags,
                root_run_id=None, parent_run_id=None, step_keys_to_execute=None,
                execution_plan_snapshot=plan.execution_plan_snapshot, job_snapshot=remote.job_snapshot,
                parent_job_snapshot=None, asset_selection=None, asset_check_selection=None,
                resolved_op_selection=None, op_selection=None, remote_job_origin=remote.get_remote_origin(),
                job_code_origin=remote.get_python_origin(), asset_graph=repository.asset_graph,
            )  # fmt: skip
            self.instance.launch_run(run.run_id, context)
        return run.run_id

    def run(self, run_id: str) -> DagsterRun:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run

    def said(self, run_id: str, *, seconds: float = 30) -> tuple[int, str, float]:
        path = self.folder / "out" / run_id
        wait_for(lambda: path.exists() and path.stat().st_size > 0, f"the body of {run_id}", seconds=seconds)
        pid, word, at = path.read_text().split()
        return int(pid), word, float(at)

    def ends(self, run_id: str, *, seconds: float = 30) -> DagsterRunStatus:
        wait_for(lambda: self.run(run_id).is_finished, f"the end of {run_id}", seconds=seconds)
        return self.run(run_id).status

    def messages(self, run_id: str) -> str:
        """What the run's log says, causes of errors included."""
        said = []
        for record in self.instance.all_logs(run_id):
            data = record.dagster_event.event_specific_data if record.dagster_event else None
            said += [record.message, str(getattr(data, "error", ""))]
        return "\n".join(said)


def wait_for(condition: Callable[[], object], what: str, *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.02)


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    (tmp_path / "out").mkdir()
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "warm_location.py").write_text(CODE)
    (home / "dagster.yaml").write_text(
        f"""
telemetry: {{enabled: false}}
run_coordinator: {{module: dagster._core.run_coordinator, class: DefaultRunCoordinator}}
run_launcher:
  module: warm_runs.launcher
  class: WarmRunLauncher
  config: {{socket_path: {tmp_path / "pool.sock"}, lane_tag: lane, grace_s: 2.0}}
"""
    )
    changes = {
        "DAGSTER_HOME": str(home),
        "WARM_TEST_OUT": str(tmp_path / "out"),
        "PYTHONPATH": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    with (
        DagsterInstance.get() as instance,
        WorkspaceProcessContext(instance, ModuleTarget("warm_location", None, str(tmp_path), "here")) as workspace,
    ):
        made = Ground(tmp_path, instance, workspace, {**os.environ, **changes})
        yield made
        for run in instance.get_runs():
            if not run.is_finished and (made.folder / "out" / run.run_id).exists():
                pid = int((made.folder / "out" / run.run_id).read_text().split()[0])
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        if made.pool is not None and made.pool.poll() is None:
            made.pool.terminate()
            made.pool.wait(10)
    # closing the workspace asks its code server to end and does not wait: left alone, a process outlives the session
    workspace._grpc_server_registry.wait_for_processes()
