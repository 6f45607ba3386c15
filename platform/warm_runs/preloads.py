"""The preloaded processes of a pool: at most one that is current for each code origin, loaded apart from each other."""

import logging
import threading
from collections.abc import Callable

from warm_runs.preloaded import CodeOrigin, Preloaded, PreloadFailed

_LOG = logging.getLogger("warm_runs")

BUILD_ATTEMPTS = 2
"""Tries at a preloaded process before the runs that wait for it fail."""
KILLED_ATTEMPTS = 10
"""The same where a signal ended each: that is seldom the code's fault, and the runs can wait."""

Key = tuple[str, str, str]


class Preloads:
    """Loads each code origin in a thread of its own, so that a slow one keeps no other waiting.

    `changed` is called whenever a load has ended; with a cause where no process could be made.
    """

    def __init__(
        self,
        *,
        most: int,
        on_exit: Callable[[int, int], None],
        changed: Callable[[CodeOrigin, str | None], None],
    ) -> None:
        self._most = most
        self._on_exit = on_exit
        self._changed = changed
        self._lock = threading.Lock()
        self._current: dict[Key, Preloaded] = {}
        self._loading: set[Key] = set()
        self._alone: set[Key] = set()
        self._closed = False

    def awaited(self, code: CodeOrigin, asked: float) -> bool:
        """True while a run that was asked for then (`time.monotonic`) needs a process that is still being made."""
        process = self._current.get(code.key)
        return code.key in self._loading and (process is None or not process.serves(asked))

    def usable(self, code: CodeOrigin, asked: float) -> Preloaded | None:
        """The process that can serve a run that was asked for then (`time.monotonic`); None when it is being made."""
        process = self._current.get(code.key)
        reason = "none was there" if process is None else process.stale(asked)
        if process is not None and reason is None:
            return process
        self.load(code, str(reason))
        return None

    def load(self, code: CodeOrigin, reason: str) -> None:
        """Begins to make a process for the code, unless that is being done."""
        with self._lock:
            if code.key in self._loading or self._closed:
                return
            self._loading.add(code.key)
        _LOG.info("preloading pointer=%r because=%r", code.pointer, reason)
        threading.Thread(target=self._load, args=(code,), name="load", daemon=True).start()

    def renew(self) -> None:
        """Replaces the processes whose code has changed, or that have ended."""
        for process in self.processes():
            reason = process.outdated() if process.alive else "the process ended"
            if reason is not None:
                self.load(process.code, reason)

    def processes(self) -> list[Preloaded]:
        """The processes that take runs."""
        with self._lock:
            return list(self._current.values())

    def close(self) -> None:
        """Retires every process; their children go on."""
        with self._lock:
            self._closed = True
            processes = list(self._current.values())
        for process in processes:
            process.retire()

    def _load(self, code: CodeOrigin) -> None:
        cause = None
        retired: list[Preloaded] = []
        try:
            fresh = self._made(code)
        except PreloadFailed as error:
            cause = str(error)
            _LOG.error("not_preloaded pointer=%r cause=%s", code.pointer, cause)
        with self._lock:
            if cause is None:
                retired = self._replaced(fresh)
            elif code.key in self._current:
                # a process that cannot be replaced serves outdated code: it serves none
                retired = [self._current.pop(code.key)]
            self._loading.discard(code.key)
        for process in retired:
            process.retire()
        self._changed(code, cause)

    def _replaced(self, fresh: Preloaded) -> list[Preloaded]:
        if self._closed:
            return [fresh]
        before = self._current.pop(fresh.code.key, None)
        retired = [] if before is None else [before]
        while len(self._current) >= self._most:
            oldest = min(self._current.values(), key=lambda process: process.used)
            retired.append(self._current.pop(oldest.code.key))
        self._current[fresh.code.key] = fresh
        return retired

    def _made(self, code: CodeOrigin) -> Preloaded:
        process = self._tried(code, more=code.key not in self._alone)
        if process.threads != 1 and process.more:
            # remembered: it need not be found out again at each change of the code
            self._alone.add(code.key)
            process = self._instead(process, "without the modules that it names", more=False)
        if process.threads != 1:
            process = self._instead(process, "bare", bare=True)
        return process

    def _instead(self, process: Preloaded, how: str, **options: bool) -> Preloaded:
        code = process.code
        _LOG.warning("again pointer=%r %s: its import leaves %d threads", code.pointer, how, process.threads)
        process.retire()
        return Preloaded(code, self._on_exit, **options)

    def _tried(self, code: CodeOrigin, *, more: bool) -> Preloaded:
        attempts = killed = 0
        while True:
            try:
                return Preloaded(code, self._on_exit, more=more)
            except PreloadFailed as error:
                attempts, killed = attempts + (not error.killed), killed + error.killed
                if attempts >= BUILD_ATTEMPTS or killed >= KILLED_ATTEMPTS or self._closed:
                    raise
                _LOG.warning("preload_again pointer=%r cause=%s", code.pointer, error)
