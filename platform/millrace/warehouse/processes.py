"""Marks of processes: whether the one that claimed an attempt is still there."""

import os
import socket
from collections.abc import Mapping
from typing import Any

START_TOLERANCE_SECONDS = 2.0
"""A process's start is computed from the boot time, which moves when the clock is set; a reused pid is further off."""


def this_process() -> dict[str, Any]:
    """Host, pid and start time (seconds since the epoch) of this process."""
    import psutil

    return {"host": socket.gethostname(), "pid": os.getpid(), "started": psutil.Process().create_time()}


def is_gone(mark: Mapping[str, Any]) -> bool:
    """Whether the process of the mark has ended; False for one on another host, of which nothing is known."""
    import psutil

    if mark.get("host") != socket.gethostname():
        return False
    try:
        process = psutil.Process(int(mark["pid"]))
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        return bool(abs(process.create_time() - float(mark["started"])) > START_TOLERANCE_SECONDS)
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False
