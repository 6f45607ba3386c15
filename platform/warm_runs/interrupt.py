"""The interrupt of a run, at a moment at which Dagster takes it for a termination."""

import signal
import time

from dagster import DagsterInstance, DagsterRunStatus

from warm_runs.processes import ProcessId

BEGIN_TIMEOUT_S = 5.0
"""Longest wait for a run's beginning; one that loads its code for longer is interrupted all the same."""


def interrupt(instance: DagsterInstance, run_id: str, process: ProcessId) -> bool:
    """Interrupts the run's process once the run has begun; false when the process has ended.

    Dagster ends an interrupted run as CANCELED if it is CANCELING then, otherwise as FAILURE. A run that begins is
    STARTED whatever it was before: what was CANCELING just before that is made so again.
    """
    deadline = time.monotonic() + BEGIN_TIMEOUT_S
    while process.alive and time.monotonic() < deadline:
        record = instance.get_run_record_by_id(run_id)
        if record is None or record.start_time is not None:
            break
        time.sleep(0.02)
    run = instance.get_run_by_id(run_id)
    if run is not None and not run.is_finished and run.status != DagsterRunStatus.CANCELING:
        instance.report_run_canceling(run)
    return process.signal(signal.SIGINT)
