"""Runs of a real Dagster instance through a real pool, from launch to their final state."""

import os
import signal
import stat
import subprocess
import sys
import time
from typing import Any

import pytest
from dagster import DagsterRunStatus
from dagster._core.launcher.base import LaunchRunContext
from dagster._serdes import serialize_value

from warm_runs.ledger import Entry
from warm_runs.wire import PoolUnreachable, ask

pytestmark = pytest.mark.slow


def test_the_first_run_is_a_fork_of_the_preloaded_process_and_as_fast_as_later_ones(warm: Any) -> None:
    command = [sys.executable, "-c", "import warm_location"]
    environment = {**warm.environment, "WARM_TEST_WORD": "any"}
    began = time.time()
    subprocess.run(command, env=environment, check=True)
    cold = time.time() - began
    seconds = []
    loads = warm.log.count("preloading")
    for _ in range(3):
        began = time.time()
        run_id = warm.launch("quick")
        told = warm.said(run_id)
        assert told["code"] in ("first", "other-code")
        assert told["pid"] != os.getpid()
        seconds.append(told["at"] - began)
        assert warm.ends(run_id) == DagsterRunStatus.SUCCESS
    # a machine with other work is slow at both: less than a new process needs to import what this one had
    assert seconds[0] < cold + 0.5
    assert seconds[0] < 2 * max(seconds[1:]) + 0.5
    assert warm.log.count("preloading") == loads
    warm.wait_for(lambda: warm.ledger.entries() == [], "an empty ledger")


def test_what_a_run_prints_is_kept_and_shown_without_a_process_for_it(warm: Any) -> None:
    run_id = warm.launch("inside")
    assert warm.said(run_id)["children"] == []
    assert warm.ends(run_id) == DagsterRunStatus.SUCCESS
    said = f"printed by {run_id}"
    (captured,) = [one for one in warm.instance.all_logs(run_id) if one.dagster_event_type == "LOGS_CAPTURED"]
    key = [run_id, "compute_logs", captured.dagster_event.logs_captured_data.file_key]
    assert warm.instance.compute_log_manager.get_log_data(key).stdout.decode() == said + "\n"
    warm.wait_for(lambda: said in warm.log, "the line in the pool's log")
    # named by the location, and not there: told once, and no run's failure
    assert "No module named 'no_such_module'" in warm.log


def test_the_socket_and_the_ledger_are_their_owners_only(warm: Any) -> None:
    for path in (warm.socket, warm.socket.with_suffix(".db")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.stat().st_uid == os.geteuid()


def test_a_killed_run_fails_with_the_signal_named(warm: Any) -> None:
    run_id = warm.launch("slow")
    os.kill(warm.said(run_id)["pid"], signal.SIGKILL)
    assert warm.ends(run_id, seconds=3) == DagsterRunStatus.FAILURE
    assert "SIGKILL" in warm.messages(run_id)


def test_a_burst_runs_in_bounded_children_and_lanes_take_turns(warm: Any) -> None:
    blockers = [warm.launch("slow", lane="a") for _ in range(3)]
    preloaded = {warm.said(run_id)["pid"] for run_id in blockers}
    assert len(preloaded) == 3
    first_lane = [warm.launch("quick", lane="a") for _ in range(46)]
    second_lane = warm.launch("quick", lane="b")
    assert not warm.has_body(second_lane)
    assert warm.status() | {"preloaded": None} == {"ok": True, "waiting": 47, "running": 3, "preloaded": None}
    parent = warm.preloaded_pid()
    for run_id in blockers:
        warm.terminate(run_id)
    most = 0
    while not all(warm.has_body(run_id) for run_id in first_lane):
        children = [pid for pid in _children_of(parent) if pid not in preloaded]
        most = max(most, len(children))
        time.sleep(0.01)
    assert 1 <= most <= 3
    at_b = warm.said(second_lane)["at"]
    later = [warm.said(run_id)["at"] for run_id in first_lane]
    assert sum(at > at_b for at in later) >= 42
    assert {warm.ends(run_id) for run_id in [*first_lane, second_lane]} == {DagsterRunStatus.SUCCESS}


def test_the_multiprocess_executor_works_as_before(warm: Any) -> None:
    run_id = warm.launch("many_processes")
    assert warm.ends(run_id, seconds=60) == DagsterRunStatus.SUCCESS


def test_a_finished_run_that_is_launched_again_is_not_executed_again(warm: Any) -> None:
    run_id = warm.launch("quick")
    assert warm.ends(run_id) == DagsterRunStatus.SUCCESS
    warm.wait_for(lambda: warm.ledger.entries() == [], "an empty ledger")
    told = warm.said(run_id)
    warm.instance.run_launcher.launch_run(LaunchRunContext(warm.run(run_id), None))
    warm.wait_for(lambda: warm.ledger.entries() == [], "an empty ledger")
    assert "started after the run had already finished" in warm.messages(run_id)
    assert warm.said(run_id) == told
    assert warm.run(run_id).status == DagsterRunStatus.SUCCESS


def test_a_run_whose_launcher_died_before_it_told_the_pool_is_executed(warm: Any) -> None:
    recorded = warm.create("quick")
    other = warm.launch("slow")
    entry = warm.ledger.get(other)
    assert isinstance(entry, Entry)
    warm.instance.report_run_canceled(warm.run(other))
    run = warm.run(recorded)
    warm.ledger.add(Entry(recorded, "pending", "", serialize_value(run.job_code_origin), entry.instance))
    assert warm.ends(recorded) == DagsterRunStatus.SUCCESS


def test_a_run_that_was_deleted_leaves_nothing_behind(warm: Any) -> None:
    run_id = warm.launch("slow")
    pid = warm.said(run_id)["pid"]
    warm.instance.delete_run(run_id)
    warm.launched.remove(run_id)
    os.kill(pid, signal.SIGKILL)
    warm.wait_for(lambda: warm.ledger.entries() == [], "an empty ledger")


def test_nonsense_on_the_socket_is_refused_and_the_pool_goes_on(warm: Any) -> None:
    with pytest.raises(PoolUnreachable, match="unknown message"):
        ask(warm.socket, {"op": "dance"}, timeout_s=5)
    with pytest.raises(PoolUnreachable, match="withdrawn"):
        ask(warm.socket, {"op": "launch", "run_id": "nobody's"}, timeout_s=5)
    assert warm.status()["ok"]


def _children_of(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]
