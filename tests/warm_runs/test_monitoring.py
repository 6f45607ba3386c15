"""Dagster's run monitoring, switched on, fails no run that is as it should be."""

import logging
from typing import Any

import pytest
from dagster import DagsterRunStatus

pytestmark = pytest.mark.slow


def _monitor(ground: Any) -> None:
    from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration

    log = logging.getLogger("monitoring")
    assert [error for error in execute_run_monitoring_iteration(ground.workspace, log) if error] == []


def test_no_run_is_failed_while_it_waits_runs_is_adopted_or_has_just_ended(warm: Any) -> None:
    running = [warm.launch("slow") for _ in range(3)]
    for run_id in running:
        warm.said(run_id)
    waiting = warm.launch("quick")
    # as of now: a monitor that read this and asks for its health after the end must not fail it
    as_it_was = warm.run(running[0])
    _monitor(warm)
    warm.kill_pool()
    # nobody is there to ask
    _monitor(warm)
    warm.start_pool()
    _monitor(warm)
    assert [warm.health(run_id) for run_id in [*running, waiting]] == ["RUNNING"] * 4
    assert not any(warm.run(run_id).is_finished for run_id in [*running, waiting])
    warm.terminate(running[0])
    assert warm.ends(running[0]) == DagsterRunStatus.CANCELED
    assert warm.ends(waiting) == DagsterRunStatus.SUCCESS
    warm.wait_for(lambda: len(warm.ledger.entries()) == 2, "a ledger with what runs")
    assert warm.instance.run_launcher.check_run_worker_health(as_it_was).status.value == "SUCCESS"
    assert warm.health(waiting) == "SUCCESS"


def test_a_run_that_nobody_knows_is_failed(warm: Any) -> None:
    run_id = warm.launch("slow")
    warm.said(run_id)
    entry = warm.ledger.get(run_id)
    warm.ledger.remove(run_id)
    try:
        assert warm.health(run_id) == "NOT_FOUND"
        _monitor(warm)
        assert warm.run(run_id).status == DagsterRunStatus.FAILURE
    finally:
        entry.process.signal(9)
