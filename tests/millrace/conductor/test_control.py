"""Runs found and ended on a real Dagster webserver."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from millrace.conductor.control import EVENT_TAG, PIPELINE_TAG, DagsterRunControl
from millrace.conductor.sweep import Sweep
from millrace.contracts.errors import CannotReach
from millrace.contracts.task import Answers

pytestmark = pytest.mark.slow

CODE = """
import time
from dagster import Definitions, in_process_executor, job, op

@op
def wait():
    for _ in range(600):
        time.sleep(0.1)

@op
def nothing():
    pass

@job(executor_def=in_process_executor)
def slow():
    wait()

@job(executor_def=in_process_executor)
def quick():
    nothing()

defs = Definitions(jobs=[slow, quick])
"""
# launches at once: a queue would need a daemon
INSTANCE = """
telemetry:
  enabled: false
run_coordinator:
  module: dagster.core.run_coordinator
  class: DefaultRunCoordinator
"""
LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""


@dataclass
class Dagster:
    url: str

    def launch(self, job: str, **tags: str) -> str:
        params = {
            "selector": {"repositoryName": "__repository__", "repositoryLocationName": "runs_here.py", "jobName": job},
            "mode": "default",
            "runConfigData": {},
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
        }
        answer = httpx.post(
            f"{self.url}/graphql", json={"query": LAUNCH, "variables": {"params": params}}, timeout=30
        ).json()
        assert "run" in answer["data"]["launchRun"], answer
        return str(answer["data"]["launchRun"]["run"]["runId"])


@pytest.fixture(scope="module")
def dagster(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Dagster]:
    folder = tmp_path_factory.mktemp("dagster")
    (folder / "runs_here.py").write_text(CODE)
    (folder / "dagster.yaml").write_text(INSTANCE)
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [Path(sys.executable).parent / "dagster-webserver", "-f", "runs_here.py", "-p", str(port)],
            cwd=folder,
            env={**os.environ, "DAGSTER_HOME": str(folder)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for(lambda: _answers(port), seconds=60)
        yield Dagster(f"http://127.0.0.1:{port}")
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(15)
        finally:
            # the runs and the code server are in the webserver's session
            _kill_session(process.pid)


def _kill_session(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/server_info", timeout=2, verify=False).is_success
    except httpx.HTTPError:
        return False


def wait_for(condition: Callable[[], Any], *, seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return found


def test_runs_are_found_by_pipeline_and_event_and_end_when_told(dagster: Dagster):
    control = DagsterRunControl(dagster.url)
    mine = dagster.launch("slow", **{PIPELINE_TAG: "pl-1", EVENT_TAG: "pl-1-bias-1"})
    other = dagster.launch("slow", **{PIPELINE_TAG: "pl-2"})
    quick = dagster.launch("quick", **{PIPELINE_TAG: "pl-3", EVENT_TAG: "pl-3-bias-1"})
    wait_for(lambda: control.statuses([mine])[mine] == "STARTED", seconds=60)
    assert [run.run_id for run in control.live_runs("pl-1")] == [mine]
    assert [run.run_id for run in control.of_event("pl-1-bias-1")] == [mine]
    assert control.live_runs("pl-none") == []
    assert control.statuses([]) == {}
    control.terminate([mine])
    began = time.monotonic()
    wait_for(lambda: not control.live_runs("pl-1"), seconds=10)
    assert time.monotonic() - began < 10
    assert control.statuses([mine, "no-such-run"]) == {mine: "CANCELED"}
    assert [run.run_id for run in control.live_runs("pl-2")] == [other]
    wait_for(lambda: control.statuses([quick])[quick] == "SUCCESS", seconds=60)
    assert control.live_runs("pl-3") == []
    assert [one.status for one in control.of_event("pl-3-bias-1")] == ["SUCCESS"]
    control.terminate([mine, "no-such-run"])
    control.mark_cancelled([other])
    assert control.statuses([other]) == {other: "CANCELED"}
    control.close()


def test_cancel_ends_the_running_run_within_ten_seconds_and_says_so(dagster: Dagster, make_bench):
    bench = make_bench()
    pipeline = bench.upload()
    answers = Answers(target="approved", task_type="classification", positive="yes")
    bench.conductor.answer(pipeline, answers, actor="user:ada")
    control = DagsterRunControl(dagster.url)
    sweep = Sweep(bench.conductor, bench.warehouse, control)
    run = dagster.launch("slow", **{PIPELINE_TAG: pipeline})
    wait_for(lambda: control.statuses([run])[run] == "STARTED", seconds=60)
    bench.conductor.cancel(pipeline, actor="user:ada")
    began = time.monotonic()

    def ended() -> bool:
        sweep.once()
        return not bench.pipeline(pipeline).ending_runs

    wait_for(ended, seconds=10)
    assert time.monotonic() - began < 10
    assert control.statuses([run]) == {run: "CANCELED"}
    assert run in bench.history(pipeline)[-1].message
    control.close()


def test_a_dagster_that_is_away_cannot_be_reached(free_port: Callable[[], int]):
    control = DagsterRunControl(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(CannotReach, match="does not answer"):
        control.live_runs("pl-1")
    control.close()
