"""Processes by pid and start time: a pid alone may have been given to another process since."""

import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProcessId:
    """A process for as long as it lives. `started` is clock ticks since boot, as in /proc/PID/stat."""

    pid: int
    started: int

    @property
    def alive(self) -> bool:
        """True while the process runs; false for a zombie, and for another process under the same pid."""
        return _start_ticks(self.pid) == self.started

    def signal(self, number: signal.Signals) -> bool:
        """Sends the signal; false when the process has ended."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            # checked with the descriptor held: from here on the pid cannot become another process
            if not self.alive:
                return False
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)
        return True

    def wait(self, *, timeout_s: float | None = None) -> bool:
        """Waits for the end; false when `timeout_s` passed first. Works for processes that are not our children."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if not self.alive:
                return True
            poller = select.poll()
            poller.register(descriptor, select.POLLIN)
            return bool(poller.poll(None if timeout_s is None else timeout_s * 1000))
        finally:
            os.close(descriptor)


def end_session(pid: int) -> bool:
    """Kills what is left of the process group that an ended process led; true when something was.

    While a member lives, the system gives the pid to nobody else; where the pid is in use, nothing is left and nothing
    is killed.
    """
    if _start_ticks(pid) is not None:
        return False
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def identify(pid: int) -> ProcessId | None:
    """The process that has this pid now; None when there is none."""
    started = _start_ticks(pid)
    return None if started is None else ProcessId(pid, started)


def _start_ticks(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # the command name is in parentheses and may hold spaces and parentheses: split after the last one
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])
