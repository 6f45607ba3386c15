"""The sinks in processes of their own, for tests that kill them.

Each line `{"home": …}` on standard input forks a process that runs the sinks, and is answered with its number and how
it ended. This one has loaded everything and opened nothing: a process that began anew would spend a second on imports.

A process kills itself with SIGKILL when the step that it is told is reached for the `time`th time, or so many seconds
after its first step; in the second case it tells each step and does not end by itself.
"""

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

# otherwise loaded by the first part, and again in each process
import confluent_kafka  # noqa: F401
import pandas  # noqa: F401
import pyarrow.parquet  # noqa: F401

from millrace.settings import Settings
from millrace.streams.sinks import run
from millrace.streams.sinks.csv_sink import CsvSink
from millrace.streams.sinks.parquet_sink import ParquetSink


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _at_step(wanted: str | None, left: int) -> Callable[[str], None]:
    def on_step(step: str) -> None:
        nonlocal left
        if step == wanted:
            left -= 1
            if not left:
                _die()

    return on_step


def _after(seconds: float, steps: int) -> Callable[[str], None]:
    timers: list[threading.Timer] = []

    def on_step(step: str) -> None:
        os.write(steps, f"{step}\n".encode())
        if not timers:
            timers.append(threading.Timer(seconds, _die))
            timers[0].start()

    return on_step


def work(told: dict[str, Any], steps: int) -> None:
    """Runs to the topic's end, or to its own."""
    timed = "kill_after" in told
    on_step = _after(told["kill_after"], steps) if timed else _at_step(told.get("step"), told.get("time", 1))
    settings = Settings.model_validate(
        {"MILLRACE_HOME": told["home"], "MILLRACE_KAFKA_PORT": told["port"], "MILLRACE_SCORED_TOPIC": told["topic"]}
    )
    folder = Path(told["folder"])
    sinks = [
        CsvSink(folder / "out.csv", on_step=on_step),
        ParquetSink(folder / "parts", roll_rows=20, roll_seconds=0.0, grace_seconds=0.0, on_step=on_step),
    ]
    # many small reads: many parts, so that they are compacted
    run._CHUNK = 20
    run.run_sinks(settings, sinks, stop=threading.Event(), until_end=not timed, settle_seconds=0.0)
    for sink in sinks:
        sink.close()


def fork(told: dict[str, Any]) -> dict[str, Any]:
    """What became of a process that did the work: its exit status, negative for a signal, and the steps it told."""
    assert len(os.listdir("/proc/self/task")) == 1, "a fork of a process with threads is not safe"
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(reading)
            work(told, writing)
            status = 0
        except BaseException:  # noqa: BLE001 - the child has no caller: its status tells
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as steps:
        said = steps.read().split()
    return {"status": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), "steps": said}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(fork(json.loads(line))), flush=True)
