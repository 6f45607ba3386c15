"""Dagster's daemon with shorter pauses: `python -m warm_runs.daemon run …`.

The daemon looks for sensors that are due every five seconds, and no setting changes that: an event that comes just
after a tick waits for the next look. For queued runs it looks every second at best: here a run that one of its own
sensors queues is taken at once. Everything else, arguments included, is `dagster-daemon`.
"""

import sys
import threading
import time
from typing import Any

from dagster import DagsterRun
from dagster._core.run_coordinator import QueuedRunCoordinator, SubmitRunContext
from dagster._core.workspace.context import IWorkspaceProcessContext
from dagster._daemon import controller, sensor
from dagster._daemon.cli import main as dagster_daemon
from dagster._daemon.daemon import DaemonIterator, SpanMarker
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from warm_runs.replacing import replace

LOOK_SECONDS = 1.0
"""Between looks at sensors. Each costs tens of milliseconds of CPU; more often, an idle daemon is seen in `top`."""
QUEUE_SECONDS = 0.5
"""Between looks at the queue, for runs that another process queued, such as the webserver."""
REST_SECONDS = 0.1
"""Between two looks at the queue in any case: a burst is taken in a few looks instead of one for each of its runs."""

_queued = threading.Event()
_submit_run = QueuedRunCoordinator.submit_run


class Dequeuer(QueuedRunCoordinatorDaemon):
    """Looks at the queue when this process has queued a run, and otherwise every `QUEUE_SECONDS`."""

    def core_loop(
        self, workspace_process_context: IWorkspaceProcessContext[Any], shutdown_event: threading.Event
    ) -> DaemonIterator:
        """Dagster's loop with a pause of our own; its caller looks at `shutdown_event` after each yield."""
        self.interval_seconds = 0
        for told in super().core_loop(workspace_process_context, shutdown_event):
            yield told
            if told is SpanMarker.END_SPAN:
                time.sleep(REST_SECONDS)
                _queued.wait(QUEUE_SECONDS - REST_SECONDS)
                # before the look: a run that is queued from here on is seen by it, or wakes the next one
                _queued.clear()


def submit_run(coordinator: QueuedRunCoordinator, context: SubmitRunContext) -> DagsterRun:
    """Queues the run as Dagster does, and tells the dequeuer."""
    run = _submit_run(coordinator, context)
    _queued.set()
    return run


def main() -> None:
    """Runs the daemon until it is told to stop.

    Raises:
        RuntimeError: this release of Dagster keeps one of the pauses elsewhere.
    """
    replace(sensor, "MIN_INTERVAL_LOOP_TIME", LOOK_SECONDS)
    replace(controller, "QueuedRunCoordinatorDaemon", Dequeuer)
    replace(QueuedRunCoordinator, "submit_run", submit_run)
    sys.argv[0] = "dagster-daemon"
    dagster_daemon()


if __name__ == "__main__":
    main()
