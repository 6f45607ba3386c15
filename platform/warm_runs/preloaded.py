"""A preloaded process as the pool sees it: start, fork on request, retire."""

import json
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warm_runs import fingerprint

_LOG = logging.getLogger("warm_runs")

FORK_TIMEOUT_S = 20.0
"""Longest wait for a fork; one takes milliseconds, so past this the process is broken."""


class PreloadFailed(Exception):
    """The process did not come up, went away, or refused to fork."""


@dataclass(frozen=True)
class CodeOrigin:
    """What tells one code location from another, and how it is loaded. Texts are Dagster's serialised values."""

    python: str
    pointer: str
    folder: Path
    origin: str
    instance: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Equal for runs that one preloaded process can serve."""
        return (self.python, self.pointer, str(self.folder), self.instance)


def code_origin(job_origin: str, instance: str) -> CodeOrigin:
    """The code origin of a run, from its serialised `JobPythonOrigin`."""
    from dagster._core.origin import JobPythonOrigin
    from dagster._serdes import deserialize_value

    repository = deserialize_value(job_origin, JobPythonOrigin).repository_origin
    pointer = repository.code_pointer
    folder = getattr(pointer, "working_directory", None) or str(Path.cwd())
    return CodeOrigin(
        python=repository.executable_path or sys.executable,
        pointer=pointer.describe(),
        folder=Path(folder),
        origin=job_origin,
        instance=instance,
    )


class Preloaded:
    """One preloaded process. Safe to use from several threads."""

    def __init__(self, code: CodeOrigin, on_exit: Callable[[int, int], None]) -> None:
        self.code = code
        self._on_exit = on_exit
        self._lock = threading.Lock()
        self._answers: dict[str, _Answer] = {}
        self._gone = False
        ours, theirs = socket.socketpair()
        self._channel = ours
        with theirs:
            self._process = subprocess.Popen(
                [code.python, "-m", "warm_runs.zygote", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                cwd=code.folder,
            )
        self._lines = ours.makefile("r")
        self._send({"origin": code.origin, "instance": code.instance, "folder": str(code.folder)})
        line = self._lines.readline()
        if not line:
            raise PreloadFailed(f"the process for {code.pointer} ended with {self._process.wait()} while loading")
        ready = json.loads(line)
        self.error: str | None = ready["error"]
        self._fingerprint: fingerprint.Fingerprint = {
            name: None if stamp is None else (stamp[0], stamp[1], stamp[2])
            for name, stamp in ready.pop("fingerprint").items()
        }
        _LOG.info(
            "preloaded pid=%d pointer=%r seconds=%.2f rss_kb=%d threads=%d broken=%s",
            self._process.pid, code.pointer, ready["seconds"], ready["rss_kb"], ready["threads"], bool(self.error),
        )  # fmt: skip
        threading.Thread(target=self._read, name=f"preloaded-{self._process.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def stale(self) -> str | None:
        """Why the process cannot serve the next run; None when it can."""
        if self._gone or self._process.poll() is not None:
            return "the process ended"
        name = fingerprint.changed(self._fingerprint, self.code.folder)
        return None if name is None else f"{name} changed"

    def fork(self, run_id: str, *, instance: str, ledger: Path) -> int:
        """Pid of the child that executes the run.

        Raises:
            PreloadFailed: the process went away, refused, or did not answer.
        """
        answer = _Answer()
        with self._lock:
            if self._gone:
                raise PreloadFailed("the preloaded process ended")
            self._answers[run_id] = answer
            self._send({"run_id": run_id, "instance": instance, "ledger": str(ledger)})
        if not answer.arrived.wait(FORK_TIMEOUT_S):
            raise PreloadFailed(f"the preloaded process did not fork within {FORK_TIMEOUT_S:.0f} s")
        if answer.pid is None:
            raise PreloadFailed(answer.reason)
        return answer.pid

    def retire(self) -> None:
        """Takes no more runs; the process ends when its children have."""
        try:
            self._channel.shutdown(socket.SHUT_WR)
        except OSError:
            # already gone
            self._gone = True

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._channel.sendall((json.dumps(message) + "\n").encode())
        except OSError as error:
            raise PreloadFailed(f"the preloaded process went away: {error}") from error

    def _read(self) -> None:
        for line in self._lines:
            message = json.loads(line)
            if "exit" in message:
                self._on_exit(message["exit"], message["status"])
                continue
            run_id = message.get("forked") or message.get("refused")
            answer = self._answers.pop(run_id, None)
            if answer is not None:
                answer.give(message.get("pid"), message.get("reason", ""))
        with self._lock:
            self._gone = True
            for answer in self._answers.values():
                answer.give(None, "the preloaded process ended")
            self._answers.clear()
        self._process.wait()


class _Answer:
    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.pid: int | None = None
        self.reason = ""

    def give(self, pid: int | None, reason: str) -> None:
        self.pid, self.reason = pid, reason
        self.arrived.set()
