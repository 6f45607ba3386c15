"""A stream in a process of its own, for tests that kill it: `stream_child.py '{"home": …}'`.

It copies each record to the output topic, and kills itself with SIGKILL: at the step and the batch it is told, or so
many seconds after its first record. In the second case it writes each step on standard output. When it is held it
begins, with everything loaded, at a line on standard input.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from millrace.contracts.errors import BadInput, MillraceError
from millrace.kafka.processor import Output, Result
from millrace.kafka.records import Record
from millrace.kafka.stream_loop import StreamLoop
from millrace.kafka.stream_options import Step, StreamOptions
from millrace.settings import Settings

_GRACE_SECONDS = 0.001
"""Into the commit: it takes about 4 ms."""


class Copy:
    """Copies key and value; what is not UTF-8 becomes a dead letter."""

    def __init__(self, topic: str, *, pause: float = 0.0) -> None:
        self._topic = topic
        self._pause = pause

    def process(self, batch: Sequence[Record]) -> Sequence[Result]:
        """One output per record, after a pause per batch."""
        time.sleep(self._pause)
        return [self._copy(record) for record in batch]

    def _copy(self, record: Record) -> Result:
        if record.value.startswith(b"\xff"):
            return BadInput("not UTF-8", field="payload")
        return (Output(self._topic, record.value, record.key),)


class Killer:
    """Kills its own process when the step is reached for the `batch`th time."""

    def __init__(self, step: str, batch: int) -> None:
        self._step = Step[step]
        self._left = batch

    def __call__(self, step: Step) -> None:
        """Hears of each step."""
        if step is not self._step:
            return
        self._left -= 1
        if self._left:
            return
        if step is Step.COMMITTING:
            threading.Timer(_GRACE_SECONDS, _die).start()
        else:
            _die()


class TimedKiller:
    """Kills its own process so many seconds after the first step, and tells of each."""

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, _die)
        self._begun = False

    def __call__(self, step: Step) -> None:
        """Hears of each step."""
        os.write(1, f"{step.name}\n".encode())
        if not self._begun:
            self._begun = True
            self._timer.start()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _watch(told: dict[str, Any]) -> Callable[[Step], None]:
    if "kill_after" in told:
        return TimedKiller(told["kill_after"])
    return Killer(told["step"], told.get("batch", 1)) if told.get("step") else lambda _: None


def main() -> int:
    """0, or the exit code of the error that ended the stream, told on standard error."""
    told = json.loads(sys.argv[1])
    settings = Settings.model_validate(
        {"MILLRACE_HOME": Path(told["home"]), "MILLRACE_KAFKA_PORT": told["port"], "MILLRACE_CODE_VERSION": "test"}
    )
    if told.get("held"):
        import confluent_kafka  # noqa: F401

        sys.stdin.readline()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    options = StreamOptions(
        group=told["group"], topics=(told["topic"],), slot=told.get("slot", 0),
        batch_records=told.get("batch_records", 50), interval=told.get("interval", 1.0),
    )  # fmt: skip
    loop = StreamLoop(settings, options, Copy(told["out"], pause=told.get("pause", 0.0)), on_step=_watch(told))
    try:
        print(json.dumps(vars(loop.run(count=told.get("count"), timeout=told.get("timeout", 60), stop=stop))))
    except MillraceError as error:
        print(f"{error.code}: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
