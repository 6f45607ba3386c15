"""Servers that all processes of a test run share: whoever asks first starts one, and the end of the run ends it."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

_END_SECONDS = 20.0
"""PostgreSQL writes its memory to the disk before it ends; on a busy machine that takes seconds."""


class SharedParts:
    """Facts about servers in a folder that every process of the run knows. Made without one, it owns a new folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.owned = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix="millrace-tests-")) if folder is None else folder
        # PostgreSQL may run as another user, and has to reach its own folder below
        self.folder.chmod(0o711)
        self._starting: list[subprocess.Popen[bytes]] = []

    def get(self, name: str, start: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
        """What `start(folder)` told the process that asked first; it comes back when its server answers."""
        told = self.folder / f"{name}.json"
        with (self.folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not told.exists():
                try:
                    made = start(Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder)))
                finally:
                    for process in self._starting:
                        # it lives on when this process ends: not this one's to wait for
                        process.returncode = 0
                    self._starting.clear()
                told.write_text(json.dumps(made))
        found: dict[str, Any] = json.loads(told.read_text())
        return found

    def run(
        self, command: Sequence[str | Path], *, log: Path, stop: int = signal.SIGKILL, **options: Any
    ) -> "subprocess.Popen[bytes]":
        """Starts a program for the rest of the run, in the log's folder; the signal `stop` ends it."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=log.parent,
                start_new_session=True, **options,
            )  # fmt: skip
        self._starting.append(process)
        # a process id is given again after a while: the time of its start belongs to it
        record = {"pid": process.pid, "created": psutil.Process(process.pid).create_time(), "stop": int(stop)}
        with (self.folder / "started").open("a") as started:
            started.write(json.dumps(record) + "\n")
        return process

    def end(self) -> None:
        """Ends every program with what it has started, and removes the folder."""
        records = self.folder / "started"
        lines = records.read_text().splitlines() if records.exists() else []
        running = []
        for record in map(json.loads, lines):
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(record["pid"])
                if process.create_time() == record["created"]:
                    process.send_signal(record["stop"])
                    running.append(process)
        psutil.wait_procs(running, timeout=_END_SECONDS)
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        shutil.rmtree(self.folder)
