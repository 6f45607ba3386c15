"""A preloaded process as the pool sees it: start, fork on request, retire."""

import json
import logging
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warm_runs import fingerprint
from warm_runs.wire import read_line

_LOG = logging.getLogger("warm_runs")

FORK_TIMEOUT_S = 20.0
"""Longest wait for a fork; one takes milliseconds, so past this the process is broken."""
LOAD_TIMEOUT_S = 180.0
"""Longest wait for the code to load, as long as Dagster waits for a code server."""


class PreloadFailed(Exception):
    """The process did not come up, went away, or refused to fork; `killed` when a signal ended it."""

    def __init__(self, message: str, *, killed: bool = False) -> None:
        super().__init__(message)
        self.killed = killed


@dataclass(frozen=True)
class CodeOrigin:
    """What tells one code location from another, and how it is loaded. Texts are Dagster's serialised values."""

    python: str
    pointer: str
    folder: Path
    origin: str
    instance: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Equal for runs that one preloaded process can serve."""
        return (self.python, self.pointer, str(self.folder))


class Preloaded:
    """One preloaded process. Safe to use from several threads.

    `bare` leaves the code location out, for one that cannot be loaded before a fork: each child then loads it. Without
    `more` only the modules are left out that the location names to be imported too.
    """

    def __init__(
        self, code: CodeOrigin, on_exit: Callable[[int, int], None], *, bare: bool = False, more: bool = True
    ) -> None:
        """Returns when the process is ready; `on_exit` is called with the pid and wait status of each ended child.

        Raises:
            PreloadFailed: the process ended, or was not ready within LOAD_TIMEOUT_S.
        """
        self.code = code
        self.bare = bare
        self.began = self.used = time.monotonic()
        self._on_exit = on_exit
        self._lock = threading.Lock()
        self._answers: dict[str, _Answer] = {}
        self._gone = False
        self._forked = False
        ours, theirs = socket.socketpair()
        self._channel = ours
        with theirs:
            self._process = subprocess.Popen(
                [code.python, "-m", "warm_runs.zygote", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                cwd=code.folder,
            )
        ready, rest = self._load(more=more)
        self.more = bool(ready["more"])
        self.error: str | None = ready["error"]
        self.threads: int = ready["threads"]
        self._fingerprint = fingerprint.Fingerprint.from_json(ready["fingerprint"])
        _LOG.info(
            "preloaded pid=%d pointer=%r seconds=%.2f rss_kb=%d threads=%d files=%d broken=%s bare=%s more=%s",
            self._process.pid, code.pointer, ready["seconds"], ready["rss_kb"], self.threads,
            len(self._fingerprint.stamps), bool(self.error), bare, self.more,
        )  # fmt: skip
        if not self._fingerprint.complete:
            _LOG.warning("not_all_files_watched folder=%s limit=%d", code.folder, fingerprint.LARGEST_WALK)
        threading.Thread(target=self._read, args=(rest,), name=f"preloaded-{self._process.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """False once the process has ended or its channel has closed."""
        return not self._gone and self._process.poll() is None

    def serves(self, asked: float) -> bool:
        """Whether all its code was read after a run was asked for (`time.monotonic`), as that run's own process would.

        Such a run waits for no further load: code that changes faster than it loads would keep it waiting for ever.
        """
        return self.alive and self.began >= asked

    def stale(self, asked: float) -> str | None:
        """Why the process cannot serve a run that was asked for then (`time.monotonic`); None when it can."""
        if not self.alive:
            return "the process ended"
        if self.serves(asked):
            return None
        if self.error is not None and self._forked:
            # what broke the load may not be a file of the code: each run of broken code is another try
            return "the code could not be loaded"
        return self.outdated()

    def outdated(self) -> str | None:
        """Which file has changed since the code was loaded; None when none has."""
        name = self._fingerprint.changed(self.code.folder)
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
        self.used = time.monotonic()
        if not answer.arrived.wait(FORK_TIMEOUT_S):
            raise PreloadFailed(f"the preloaded process did not fork within {FORK_TIMEOUT_S:.0f} s")
        if answer.pid is None:
            raise PreloadFailed(answer.reason)
        self._forked = True
        return answer.pid

    def retire(self) -> None:
        """Takes no more runs; the process tells of its children's ends and ends after the last of them."""
        try:
            self._channel.shutdown(socket.SHUT_WR)
        except OSError:
            # already gone
            self._gone = True

    def _load(self, *, more: bool) -> tuple[dict[str, Any], bytes]:
        try:
            hello = {
                "origin": self.code.origin,
                "instance": self.code.instance,
                "folder": str(self.code.folder),
                "bare": self.bare,
                "more": more,
            }
            self._send(hello)
            line, rest = read_line(self._channel, timeout_s=LOAD_TIMEOUT_S)
        except (OSError, PreloadFailed) as error:
            self._process.kill()
            self._channel.close()
            ended = self._process.wait()
            # negative: the signal that ended it, which is ours where it hung
            killed = ended < 0 and not isinstance(error, TimeoutError)
            cause = f"the process for {self.code.pointer} ended with {ended} while loading: {error}"
            raise PreloadFailed(cause, killed=killed) from error
        self._channel.settimeout(None)
        ready: dict[str, Any] = json.loads(line)
        return ready, rest

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._channel.sendall((json.dumps(message) + "\n").encode())
        except OSError as error:
            raise PreloadFailed(f"the preloaded process went away: {error}") from error

    def _read(self, rest: bytes) -> None:
        while True:
            try:
                line, rest = read_line(self._channel, rest)
            except OSError:
                # closed, or reset when the process was killed
                break
            self._heed(json.loads(line))
        with self._lock:
            self._gone = True
            for answer in self._answers.values():
                answer.give(None, "the preloaded process ended")
            self._answers.clear()
            self._channel.close()
        self._process.wait()

    def _heed(self, message: dict[str, Any]) -> None:
        if "exit" in message:
            self._on_exit(message["exit"], message["status"])
            return
        run_id = message.get("forked") or message.get("refused")
        with self._lock:
            answer = self._answers.pop(str(run_id), None)
        if answer is not None:
            answer.give(message.get("pid"), message.get("reason", ""))


class _Answer:
    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.pid: int | None = None
        self.reason = ""

    def give(self, pid: int | None, reason: str) -> None:
        self.pid, self.reason = pid, reason
        self.arrived.set()
