"""The threads of the conductor process: each waits for what is away, and one that breaks ends the process."""

import logging
import threading
import time
from collections.abc import Callable

from millrace.contracts.errors import CannotReach

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0
"""A broker or database that comes back is found again within this time."""
STOP_SECONDS = 8.0
"""All threads together have so long to end, of the 10 s that the process has."""

log = logging.getLogger(__name__)


class Threads:
    """Runs work on threads until `stop` is set."""

    def __init__(self, stop: threading.Event) -> None:
        self.stop = stop
        self.failed: str | None = None
        self._threads: list[threading.Thread] = []

    def start(self, name: str, work: Callable[[threading.Event], None]) -> None:
        """Starts `work(stop)`. It is begun again when a part cannot be reached, and ends the process on a defect."""
        thread = threading.Thread(target=self._run, args=(name, work), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def join(self) -> list[str]:
        """Waits for the threads to end; gives the names of those that did not in time."""
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))
        return [thread.name for thread in self._threads if thread.is_alive()]

    def _run(self, name: str, work: Callable[[threading.Event], None]) -> None:
        pause = FIRST_PAUSE_SECONDS
        finished = False
        try:
            while not self.stop.is_set():
                try:
                    work(self.stop)
                    pause = FIRST_PAUSE_SECONDS
                except CannotReach as error:
                    log.warning("conductor.waiting part=%s pause_s=%.1f error=%r", name, pause, error.message)
                    self.stop.wait(pause)
                    pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            finished = True
        finally:
            if not finished:
                # the exception goes to the log as it is; the supervisor starts the process anew
                self.failed = name
                self.stop.set()


def every(seconds: float, work: Callable[[], None]) -> Callable[[threading.Event], None]:
    """Work that is done again and again, that many seconds after it was done last."""

    def run(stop: threading.Event) -> None:
        while not stop.is_set():
            work()
            stop.wait(seconds)

    return run
