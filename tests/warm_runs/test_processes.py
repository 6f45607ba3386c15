"""Processes are told apart by pid and start time."""

import os
import signal
import subprocess
import sys

from warm_runs.processes import ProcessId, identify


def test_a_process_is_alive_until_it_ends() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child:
        process = identify(child.pid)
        assert process is not None
        assert process.alive
        assert not process.wait(timeout_s=0.05)
        assert process.signal(signal.SIGKILL)
        assert process.wait(timeout_s=5)
        # not yet waited for by its parent: a zombie is an ended process
        assert not process.alive
    assert identify(child.pid) is None


def test_another_process_under_the_same_pid_is_not_signalled() -> None:
    own = identify(os.getpid())
    assert own is not None
    earlier = ProcessId(own.pid, own.started - 1)
    assert not earlier.alive
    assert not earlier.signal(signal.SIGKILL)
    assert earlier.wait(timeout_s=0)
