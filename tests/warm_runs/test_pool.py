"""Runs of a real Dagster instance through a real pool."""

import json
import os
import signal
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterRunStatus

from warm_runs.ledger import Ledger

Ground = Any

pytestmark = pytest.mark.slow


def test_the_first_run_is_a_fork_of_the_preloaded_process(ground: Ground) -> None:
    ground.start_pool()
    ground.warm()
    began = time.time()
    run_id = ground.launch("quick")
    pid, word, at = ground.said(run_id)
    assert word == "first"
    assert pid != os.getpid()
    assert at - began < 2.5
    assert ground.ends(run_id) == DagsterRunStatus.SUCCESS
    ground.wait_for(lambda: Ledger(ground.socket.with_suffix(".db")).entries() == [], "an empty ledger")


def test_the_socket_and_the_ledger_are_their_owners_only(ground: Ground) -> None:
    ground.start_pool()
    for path in (ground.socket, ground.socket.with_suffix(".db")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_changed_code_runs_in_the_next_run(ground: Ground) -> None:
    ground.start_pool()
    ground.warm()
    ground.code.write_text(ground.original.replace('WORD = "first"', 'WORD = "second"'))
    run_id = ground.launch("quick")
    assert ground.said(run_id)[1] == "second"


def test_broken_code_fails_the_run_with_its_cause_and_mended_code_runs(ground: Ground) -> None:
    ground.start_pool()
    ground.warm()
    ground.code.write_text(ground.original + "\nraise RuntimeError('planted fault')\n")
    broken = ground.launch("quick")
    assert ground.ends(broken) == DagsterRunStatus.FAILURE
    assert "planted fault" in ground.messages(broken)
    ground.code.write_text(ground.original)
    mended = ground.launch("quick")
    assert ground.ends(mended) == DagsterRunStatus.SUCCESS


def test_a_terminated_run_is_canceled(ground: Ground) -> None:
    ground.start_pool()
    run_id = ground.launch("slow")
    ground.said(run_id)
    assert ground.instance.run_launcher.terminate(run_id)
    assert ground.ends(run_id, seconds=5) == DagsterRunStatus.CANCELED


def test_a_run_that_ignores_the_interrupt_is_killed_and_canceled(ground: Ground) -> None:
    ground.start_pool()
    run_id = ground.launch("deaf")
    pid, _, _ = ground.said(run_id)
    assert ground.instance.run_launcher.terminate(run_id)
    assert ground.ends(run_id, seconds=10) == DagsterRunStatus.CANCELED
    ground.wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "the end of the process")


def test_a_killed_run_fails_with_the_signal_named(ground: Ground) -> None:
    ground.start_pool()
    run_id = ground.launch("slow")
    pid, _, _ = ground.said(run_id)
    os.kill(pid, signal.SIGKILL)
    assert ground.ends(run_id, seconds=3) == DagsterRunStatus.FAILURE
    assert "SIGKILL" in ground.messages(run_id)


def test_a_restarted_pool_takes_over_and_ends_what_its_predecessor_ran(ground: Ground) -> None:
    ground.start_pool()
    kept, ended = ground.launch("slow"), ground.launch("slow")
    pids = [ground.said(run_id)[0] for run_id in (kept, ended)]
    ground.kill_pool()
    os.kill(pids[1], signal.SIGKILL)
    assert ground.instance.run_launcher.check_run_worker_health(ground.run(kept)).status.value == "RUNNING"
    ground.start_pool()
    assert ground.ends(ended) == DagsterRunStatus.FAILURE
    assert not ground.run(kept).is_finished
    assert ground.instance.run_launcher.terminate(kept)
    assert ground.ends(kept, seconds=10) == DagsterRunStatus.CANCELED


def test_a_run_is_terminated_without_a_pool(ground: Ground) -> None:
    ground.start_pool()
    run_id = ground.launch("slow")
    ground.said(run_id)
    ground.kill_pool()
    assert ground.instance.run_launcher.terminate(run_id)
    assert ground.ends(run_id, seconds=10) == DagsterRunStatus.CANCELED


def test_without_a_pool_the_default_launcher_runs_it_and_the_log_says_so(ground: Ground) -> None:
    run_id = ground.launch("quick")
    assert ground.ends(run_id, seconds=60) == DagsterRunStatus.SUCCESS
    assert "the default launcher starts this run" in ground.messages(run_id)
    assert ground.instance.run_launcher.check_run_worker_health(ground.run(run_id)).status.value == "RUNNING"


def test_a_burst_runs_in_bounded_children_and_lanes_take_turns(ground: Ground) -> None:
    ground.start_pool("--max-children", "2")
    ground.warm()
    blockers = [ground.launch("slow", lane="a") for _ in range(2)]
    for run_id in blockers:
        ground.said(run_id)
    first_lane = [ground.launch("quick", lane="a") for _ in range(4)]
    second_lane = ground.launch("quick", lane="b")
    assert not (ground.folder / "out" / second_lane).exists()
    for run_id in blockers:
        ground.instance.run_launcher.terminate(run_id)
    at_b = ground.said(second_lane)[2]
    later = [ground.said(run_id)[2] for run_id in first_lane]
    assert sum(at > at_b for at in later) >= 2


def test_the_multiprocess_executor_works_as_before(ground: Ground) -> None:
    ground.start_pool()
    run_id = ground.launch("many_processes")
    assert ground.ends(run_id, seconds=60) == DagsterRunStatus.SUCCESS


def test_a_waiting_run_is_canceled_before_it_begins(ground: Ground) -> None:
    ground.start_pool("--max-children", "1")
    blocker = ground.launch("slow")
    ground.said(blocker)
    waiting = ground.launch("quick")
    assert ground.instance.run_launcher.terminate(waiting)
    assert ground.ends(waiting, seconds=5) == DagsterRunStatus.CANCELED
    assert not (ground.folder / "out" / waiting).exists()


def test_nothing_that_must_not_be_shared_crosses_the_fork(ground: Ground) -> None:
    ground.start_pool()
    ground.warm()
    seen = []
    for _ in range(2):
        run_id = ground.launch("inside")
        path = ground.folder / "out" / run_id
        ground.wait_for(path.exists, "what the run saw")
        seen.append(json.loads(path.read_text()))
        assert ground.ends(run_id) == DagsterRunStatus.SUCCESS
    preloaded = Path(f"/proc/{seen[0]['parent']}")
    of_parent = {os.readlink(link) for link in (preloaded / "fd").iterdir() if int(link.name) > 2}
    assert len(list((preloaded / "task").iterdir())) == 1
    # neither a database, nor a log, nor a connection: the pool's channel and the wake-up pipe are all it holds
    assert {name.split(":")[0] for name in of_parent} <= {"socket", "pipe"}
    assert len(of_parent) <= 3
    for child in seen:
        inherited = {link for name, link in child["links"].items() if int(name) > 2} & of_parent
        assert inherited == set()
        assert child["session"] == child["pid"]
    assert seen[0]["random"] != seen[1]["random"]
