"""The pool is killed, hangs, or is not there: every run is executed once and has a true final state."""

import os
import signal
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from dagster import DagsterRunStatus

from warm_runs.service import EXIT_THREAD_FAILED

pytestmark = pytest.mark.slow


def test_a_restarted_pool_takes_over_what_its_predecessor_ran_and_what_waited(warm: Any) -> None:
    kept, ended, other = running = [warm.launch("slow") for _ in range(3)]
    pids = [warm.said(run_id)["pid"] for run_id in running]
    waiting = [warm.launch("quick") for _ in range(2)]
    warm.kill_pool()
    os.kill(pids[1], signal.SIGKILL)
    assert warm.health(kept) == "RUNNING"
    warm.wait_for(lambda: warm.health(ended) == "FAILED", "the word that its process has ended")
    warm.start_pool()
    assert warm.ends(ended) == DagsterRunStatus.FAILURE
    assert {warm.ends(run_id) for run_id in waiting} == {DagsterRunStatus.SUCCESS}
    assert not warm.run(kept).is_finished
    assert not warm.run(other).is_finished
    assert warm.terminate(kept)
    assert warm.ends(kept, seconds=10) == DagsterRunStatus.CANCELED


def test_without_an_answer_the_default_launcher_runs_it_once_and_the_log_says_so(warm: Any) -> None:
    assert warm.pool is not None
    warm.pool.send_signal(signal.SIGSTOP)
    try:
        # heard by the pool when it goes on, and withdrawn by then
        run_id = warm.launch("quick")
    finally:
        warm.pool.send_signal(signal.SIGCONT)
    assert warm.ends(run_id, seconds=60) == DagsterRunStatus.SUCCESS
    assert "the default launcher starts this run" in warm.messages(run_id)
    assert warm.messages(run_id).count("Started process for run") == 1
    assert "STEP_FAILURE" not in warm.messages(run_id)
    assert warm.health(run_id) == "SUCCESS"
    # and the next one is the pool's again
    recovered = warm.launch("quick")
    assert warm.ends(recovered) == DagsterRunStatus.SUCCESS
    assert "default launcher" not in warm.messages(recovered)


def test_a_pool_that_loses_a_thread_ends_and_its_successor_does_the_work(warm: Any) -> None:
    # its watcher cannot read the ledger any more
    with closing(sqlite3.connect(warm.ledger.path)) as connection:
        connection.execute("ALTER TABLE runs RENAME TO away")
    assert warm.pool.wait(30) == EXIT_THREAD_FAILED
    assert "ended because a thread failed" in warm.log
    with closing(sqlite3.connect(warm.ledger.path)) as connection:
        connection.execute("DROP TABLE IF EXISTS runs")
        connection.execute("ALTER TABLE away RENAME TO runs")
    warm.start_pool()
    assert warm.ends(warm.launch("quick")) == DagsterRunStatus.SUCCESS
