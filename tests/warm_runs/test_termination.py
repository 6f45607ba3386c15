"""However a run is terminated, and whatever has been killed before: it ends CANCELED, and its processes end."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from dagster import DagsterRunStatus

from tests.conftest import free_ports

pytestmark = pytest.mark.slow

_TERMINATE = """
mutation ($id: String!) {
  terminateRuns(runIds: [$id], terminatePolicy: SAFE_TERMINATE) {
    __typename
    ... on TerminateRunsResult { terminateRunResults { __typename ... on TerminateRunFailure { message } } }
  }
}
"""


@pytest.fixture(scope="module")
def graphql(shared_ground: Any) -> Iterator[str]:
    """Address of a real webserver's GraphQL."""
    (port,) = free_ports(1)
    command = [
        sys.executable, "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(port),
        "--grpc-socket", str(shared_ground.folder / "code.sock"),
    ]  # fmt: skip
    with (shared_ground.folder / "webserver.log").open("wb") as log:
        server = subprocess.Popen(command, env=shared_ground.environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        shared_ground.wait_for(lambda: _answers(f"{url}/server_info"), "the webserver", seconds=60)
        yield f"{url}/graphql"
    finally:
        server.kill()
        server.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, verify=False).status_code == 200
    except httpx.TransportError:
        return False


def _terminate(graphql: str, run_id: str) -> None:
    body = {"query": _TERMINATE, "variables": {"id": run_id}}
    answer = httpx.post(graphql, json=body, trust_env=False, timeout=30).raise_for_status().json()
    (result,) = answer["data"]["terminateRuns"]["terminateRunResults"]
    assert result["__typename"] == "TerminateRunSuccess", result


def test_a_run_terminated_in_the_web_pages_is_canceled(warm: Any, graphql: str) -> None:
    run_id = warm.launch("slow")
    warm.said(run_id)
    _terminate(graphql, run_id)
    assert warm.ends(run_id, seconds=5) == DagsterRunStatus.CANCELED


def test_a_run_terminated_by_its_launcher_is_canceled(warm: Any) -> None:
    run_id = warm.launch("slow")
    warm.said(run_id)
    assert warm.terminate(run_id)
    assert warm.ends(run_id, seconds=5) == DagsterRunStatus.CANCELED
    assert not warm.terminate(run_id)


def test_a_run_of_a_canceled_backfill_is_canceled_by_the_daemon(warm: Any) -> None:
    from dagster._core.execution.backfill import cancel_backfill_runs_and_cancellation_complete

    run_id = warm.launch("slow", **{"dagster/backfill": "one"})
    warm.said(run_id)

    def canceled() -> bool:
        return bool(cancel_backfill_runs_and_cancellation_complete(warm.instance, "one", logging.getLogger("daemon")))

    warm.wait_for(canceled, "the daemon's word that all runs are canceled")
    assert warm.ends(run_id, seconds=5) == DagsterRunStatus.CANCELED


def test_a_run_that_ignores_the_interrupt_is_killed_and_canceled(warm: Any, graphql: str) -> None:
    run_id = warm.launch("deaf")
    pid = warm.said(run_id)["pid"]
    _terminate(graphql, run_id)
    assert warm.ends(run_id, seconds=10) == DagsterRunStatus.CANCELED
    warm.wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "the end of the process")
    assert "did not heed the interrupt and was killed" in warm.messages(run_id)


def test_a_step_in_a_process_of_its_own_is_killed_with_its_run(warm: Any) -> None:
    run_id = warm.launch("deaf_processes")
    step = warm.said(run_id, seconds=60)["pid"]
    assert warm.terminate(run_id)
    assert warm.ends(run_id, seconds=10) == DagsterRunStatus.CANCELED
    warm.wait_for(lambda: not os.path.exists(f"/proc/{step}"), "the end of the step's process")


def test_a_waiting_run_is_canceled_before_it_begins(warm: Any) -> None:
    for blocker in [warm.launch("slow") for _ in range(3)]:
        warm.said(blocker)
    waiting = warm.launch("quick")
    assert warm.terminate(waiting)
    assert warm.ends(waiting, seconds=5) == DagsterRunStatus.CANCELED
    assert not warm.has_body(waiting)
    assert "canceled before a process executed it" in warm.messages(waiting)


def test_a_run_is_terminated_after_its_preloaded_process_was_killed(warm: Any, graphql: str) -> None:
    runs = [warm.launch(name) for name in ("slow", "deaf")]
    pids = [warm.said(run_id)["pid"] for run_id in runs]
    os.kill(warm.preloaded_pid(), signal.SIGKILL)
    for run_id in runs:
        _terminate(graphql, run_id)
    assert [warm.ends(run_id, seconds=10) for run_id in runs] == [DagsterRunStatus.CANCELED] * 2
    warm.wait_for(lambda: not any(map(_runs, pids)), "the ends of the processes")
    # and the next run finds a new one
    assert warm.ends(warm.launch("quick")) == DagsterRunStatus.SUCCESS


def test_runs_are_terminated_without_a_pool_and_what_is_left_is_killed_by_the_next(warm: Any, graphql: str) -> None:
    heeding, deaf = warm.launch("slow"), warm.launch("deaf")
    pid = warm.said(deaf)["pid"]
    warm.said(heeding)
    warm.kill_pool()
    of_the_default_launcher = warm.launch("slow")
    warm.said(of_the_default_launcher)
    assert warm.health(of_the_default_launcher) == "RUNNING"
    for run_id in (heeding, deaf, of_the_default_launcher):
        _terminate(graphql, run_id)
    for run_id in (heeding, of_the_default_launcher):
        assert warm.ends(run_id, seconds=10) == DagsterRunStatus.CANCELED
    assert _runs(pid)
    warm.start_pool()
    assert warm.ends(deaf, seconds=10) == DagsterRunStatus.CANCELED
    warm.wait_for(lambda: not _runs(pid), "the end of the process")


def _runs(pid: int) -> bool:
    from warm_runs.processes import identify

    return identify(pid) is not None


def test_a_run_that_is_terminated_as_it_begins_is_canceled_and_not_killed(warm: Any) -> None:
    # a child that got the interrupt before it listened would run to its kill, after the grace; one that says STARTED
    # after the request would call the interrupt a failure
    ends = []
    for _ in range(12):
        run_id = warm.launch("slow")
        warm.wait_for(lambda run=run_id: _has_process(warm, run), "its process")
        warm.terminate(run_id)
        ends.append((warm.ends(run_id), "was killed" in warm.messages(run_id)))
    assert ends == [(DagsterRunStatus.CANCELED, False)] * 12


def _has_process(warm: Any, run_id: str) -> bool:
    entry = warm.ledger.get(run_id)
    return entry is None or entry.process is not None
