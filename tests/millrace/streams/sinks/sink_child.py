"""The sinks in a process of their own, for tests that kill it: `sink_child.py '{"home": …}'`.

It kills itself with SIGKILL when the step that it is told is reached for the `time`th time, or so many seconds after
its first step; in the second case it writes each step on standard output and does not end by itself. When it is held
it begins, with everything loaded, at a line on standard input.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

# otherwise loaded by the first part, which most kills would then meet
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


def _after(seconds: float) -> Callable[[str], None]:
    timers: list[threading.Timer] = []

    def on_step(step: str) -> None:
        os.write(1, f"{step}\n".encode())
        if not timers:
            timers.append(threading.Timer(seconds, _die))
            timers[0].start()

    return on_step


def main() -> None:
    """Runs to the topic's end, or to its own."""
    told: dict[str, Any] = json.loads(sys.argv[1])
    timed = "kill_after" in told
    on_step = _after(told["kill_after"]) if timed else _at_step(told.get("step"), told.get("time", 1))
    settings = Settings.model_validate(
        {"MILLRACE_HOME": told["home"], "MILLRACE_KAFKA_PORT": told["port"], "MILLRACE_SCORED_TOPIC": told["topic"]}
    )
    if told.get("held"):
        sys.stdin.readline()
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


if __name__ == "__main__":
    main()
