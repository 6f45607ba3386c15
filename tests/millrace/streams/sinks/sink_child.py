"""The sinks in a process of their own, for tests that kill it: `sink_child.py '{"home": …}'`.

It kills itself with SIGKILL when the step that it is told is reached for the `time`th time.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

from millrace.settings import Settings
from millrace.streams.sinks import run
from millrace.streams.sinks.csv_sink import CsvSink
from millrace.streams.sinks.parquet_sink import ParquetSink


def main() -> None:
    """Runs to the topic's end, or to its own."""
    told = json.loads(sys.argv[1])
    left = told.get("time", 1)

    def on_step(step: str) -> None:
        nonlocal left
        if step == told.get("step"):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

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
    run.run_sinks(settings, sinks, stop=threading.Event(), until_end=True, settle_seconds=0.0)
    for sink in sinks:
        sink.close()


if __name__ == "__main__":
    main()
