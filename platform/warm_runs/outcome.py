"""The final state of a run whose process has ended without giving it one."""

import os
import signal

from dagster import DagsterInstance, DagsterRunStatus


def settle(instance: DagsterInstance, run_id: str, *, pid: int | None, status: int | None, killed: bool) -> str | None:
    """Reports CANCELED or FAILURE when the run has no final state yet; what was said, or None.

    `status` is the wait status when the parent was there to see it. `killed` says that we ended the process ourselves
    because it did not heed the interrupt.
    """
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return None
    how = _how_it_ended(status)
    if run.status == DagsterRunStatus.CANCELING:
        message = f"Run worker process {pid} {how}."
        if killed:
            message = f"Run worker process {pid} did not heed the interrupt and was killed."
        instance.report_run_canceled(run, message)
        return message
    message = f"Run worker process {pid} {how} before the run was finished."
    instance.report_run_failed(run, message)
    return message


def _how_it_ended(status: int | None) -> str:
    if status is None:
        return "ended while nobody was watching"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"was killed by {signal.Signals(number).name}"
    return f"ended with exit status {os.waitstatus_to_exitcode(status)}"
