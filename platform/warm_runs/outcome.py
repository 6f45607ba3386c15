"""The final state of a run whose process has ended without giving it one."""

import logging
import os
import signal
import threading
import time

from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.instance.ref import InstanceRef
from dagster._serdes import deserialize_value

from warm_runs.interrupt import interrupt
from warm_runs.ledger import Entry
from warm_runs.processes import ProcessId

_LOG = logging.getLogger("warm_runs")

LONGEST_PAUSE_S = 30.0
"""Between tries at a storage that does not answer; the pauses double up to this."""


def settle(
    instance: DagsterInstance,
    run_id: str,
    *,
    pid: int | None,
    status: int | None = None,
    asked: bool = False,
    killed: bool = False,
    cause: str | None = None,
) -> str | None:
    """Reports CANCELED or FAILURE when the run has no final state yet; what was said, or None.

    `pid` is None for a run that no process executed, `cause` then says why. `status` is the wait status when the parent
    was there to see it. `asked` says that the run's end was asked for, `killed` that we ended the process ourselves
    because it did not heed the interrupt.
    """
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return None
    if asked or run.status == DagsterRunStatus.CANCELING:
        message = f"Run worker process {pid} {_how_it_ended(status)}."
        if pid is None:
            message = "The run was canceled before a process executed it."
        elif killed:
            message = f"Run worker process {pid} did not heed the interrupt and was killed."
        instance.report_run_canceled(run, message)
        return message
    message = f"Run worker process {pid} {_how_it_ended(status)} before the run was finished."
    if pid is None:
        message = f"No preloaded process could execute the run: {cause or 'its process is not known'}"
    instance.report_run_failed(run, message)
    return message


class Settler:
    """Settles runs of any instance, however long their storage does not answer. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._instances: dict[str, DagsterInstance] = {}

    def settle(self, entry: Entry, *, status: int | None = None, cause: str | None = None) -> None:
        """Returns when the run has a final state."""
        asked = entry.kill_at is not None and cause is None
        killed = entry.kill_at is not None and time.time() >= entry.kill_at
        pid = None if entry.process is None else entry.process.pid
        pause_s = 1.0
        while True:
            try:
                instance = self._instance(entry.instance)
                said = settle(instance, entry.run_id, pid=pid, status=status, asked=asked, killed=killed, cause=cause)
            except Exception:  # noqa: BLE001
                # whatever the storage raises while it is away: the run keeps its entry, and its state is told later
                _LOG.exception("not_settled run=%s next_try_in_s=%.0f", entry.run_id, pause_s)
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                continue
            if said is not None:
                _LOG.warning("settled run=%s said=%r", entry.run_id, said)
            return

    def interrupt(self, entry: Entry, process: ProcessId) -> None:
        """Interrupts the run's process once the run has begun; at once where its storage does not answer."""
        try:
            interrupt(self._instance(entry.instance), entry.run_id, process)
        except Exception:  # noqa: BLE001
            # whatever the storage raises: the run ends, if as a failure
            _LOG.exception("interrupted_blindly run=%s", entry.run_id)
            process.signal(signal.SIGINT)

    def _instance(self, reference: str) -> DagsterInstance:
        with self._lock:
            if reference not in self._instances:
                self._instances[reference] = DagsterInstance.from_ref(deserialize_value(reference, InstanceRef))
            return self._instances[reference]


def _how_it_ended(status: int | None) -> str:
    if status is None:
        return "ended while nobody was watching"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"was killed by {signal.Signals(number).name}"
    return f"ended with exit status {os.waitstatus_to_exitcode(status)}"
