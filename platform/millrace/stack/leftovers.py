"""Finds and ends what a home's processes left behind, whoever their parent is now."""

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from millrace.stack.environment import MARKER

_GRACE_SECONDS = 3.0
_KILL_SECONDS = 2.0


def living(home: Path) -> list[psutil.Process]:
    """Processes that bear the home's mark in their environment: supervised programs, and all that they started."""
    mine = os.getpid()
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != mine and process.environ().get(MARKER) == str(home) and _lives(process):
                found.append(process)
    return found


def end(processes: Sequence[psutil.Process], *, grace: float = _GRACE_SECONDS) -> None:
    """Ends the processes: asked first, killed after the grace in seconds."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, rest = psutil.wait_procs(processes, timeout=grace)
    for process in rest:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(rest, timeout=_KILL_SECONDS)


def end_all(home: Path) -> list[int]:
    """Ends every process of the home, those that appear meanwhile included; the ids of any that still live."""
    for _ in range(3):
        found = living(home)
        if not found:
            return []
        end(found)
        time.sleep(0.05)
    return [process.pid for process in living(home)]


def _lives(process: psutil.Process) -> bool:
    return bool(process.status() != psutil.STATUS_ZOMBIE)
