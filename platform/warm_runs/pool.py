"""The pool: one preloaded process per code origin, a bounded number of running children, fair lanes.

Three kinds of threads share the state under one lock: requests (short), one dispatcher that forks, and one watcher per
child that waits for its end. A run is in the ledger before it is acted on, and its child claims it there before it
executes anything, so that a pool that is killed at any line is taken over by the next one.
"""

import logging
import signal
import threading
import time
from dataclasses import dataclass, replace
from typing import Any

from dagster import DagsterInstance
from dagster._core.instance.ref import InstanceRef
from dagster._serdes import deserialize_value

from warm_runs.lanes import Lanes
from warm_runs.ledger import Entry, Ledger
from warm_runs.outcome import settle
from warm_runs.preloaded import CodeOrigin, Preloaded, PreloadFailed, code_origin
from warm_runs.processes import ProcessId, identify

_LOG = logging.getLogger("warm_runs")

WATCH_INTERVAL_S = 1.0
"""Between looks at the code's files; a change is also looked for at each launch, so this only hides the reload."""
STATUS_WAIT_S = 0.3
"""A child's end is seen through its pidfd and by its parent; the parent's word, which names the signal, comes a little
later and is waited for this long."""
BUILD_ATTEMPTS = 2
"""Tries at a preloaded process before the runs that wait for it fail."""


@dataclass(frozen=True)
class PoolSettings:
    """`max_children` bounds the runs that execute at once; `grace_s` is the time between an interrupt and the kill."""

    max_children: int = 10
    grace_s: float = 15.0


class Pool:
    """Launches, ends and watches runs."""

    def __init__(self, ledger: Ledger, settings: PoolSettings) -> None:
        self._ledger = ledger
        self._settings = settings
        self._lock = threading.Condition()
        self._waiting = Lanes()
        self._entries: dict[str, Entry] = {}
        self._statuses: dict[int, int] = {}
        self._preloaded: dict[tuple[str, str, str, str], Preloaded] = {}
        self._instances: dict[str, DagsterInstance] = {}
        self._closing = False

    def start(self) -> None:
        """Takes over what an earlier pool left and begins to dispatch."""
        for entry in self._ledger.entries():
            self._entries[entry.run_id] = entry
            if entry.state == "pending" and entry.kill_at is not None:
                self._settle(entry, status=None)
                continue
            if entry.state == "running":
                self._watch_child(entry)
            else:
                self._waiting.put(entry.lane, entry.run_id)
            _LOG.info("readopted run=%s state=%s", entry.run_id, entry.state)
        for target in (self._dispatch, self._watch_code):
            threading.Thread(target=target, name=target.__name__, daemon=True).start()

    def close(self) -> None:
        """Stops dispatching and retires the preloaded processes; running children go on."""
        with self._lock:
            self._closing = True
            self._lock.notify_all()
            preloaded = list(self._preloaded.values())
        for process in preloaded:
            process.retire()

    def warm(self, origin: str, instance: str) -> dict[str, Any]:
        """Makes sure that a preloaded process for the code is there."""
        process = self._ready(code_origin(origin, instance))
        return {"ok": True, "pid": process.pid, "error": process.error}

    def launch(self, run_id: str, *, origin: str, instance: str, lane: str) -> dict[str, Any]:
        """Takes charge of a run; the same run again changes nothing."""
        entry = Entry(run_id, "pending", lane, origin, instance)
        self._ledger.add(entry)
        with self._lock:
            if run_id not in self._entries:
                self._entries[run_id] = entry
                self._waiting.put(lane, run_id)
                self._lock.notify_all()
        return {"ok": True}

    def terminate(self, run_id: str) -> dict[str, Any]:
        """Ends a run: a waiting one at once, a running one by interrupt and, past the grace period, by kill."""
        with self._lock:
            entry = self._entries.get(run_id)
            if entry is None:
                return {"ok": False, "state": "unknown"}
            waiting = self._waiting.discard(run_id)
            if not waiting:
                entry = replace(entry, kill_at=entry.kill_at or time.time() + self._settings.grace_s)
                self._entries[run_id] = entry
        self._ledger.end_by(run_id, entry.kill_at or time.time())
        if waiting:
            self._settle(entry, status=None)
            return {"ok": True, "state": "pending"}
        if entry.process is not None:
            entry.process.signal(signal.SIGINT)
        return {"ok": True, "state": "running"}

    def health(self, run_id: str) -> dict[str, Any]:
        """`pending`, `running`, or `unknown` to this pool."""
        with self._lock:
            entry = self._entries.get(run_id)
        return {"ok": True, "state": "unknown" if entry is None else entry.state}

    def status(self) -> dict[str, Any]:
        """Counts and the preloaded processes, for people."""
        with self._lock:
            return {
                "ok": True,
                "waiting": len(self._waiting),
                "running": self._children(),
                "preloaded": [
                    {"pid": process.pid, "code": process.code.pointer, "error": process.error}
                    for process in self._preloaded.values()
                ],
            }

    def _children(self) -> int:
        return sum(entry.state == "running" for entry in self._entries.values())

    def _dispatch(self) -> None:
        while True:
            with self._lock:
                while not self._closing and (
                    len(self._waiting) == 0 or self._children() >= self._settings.max_children
                ):
                    self._lock.wait()
                if self._closing:
                    return
                run_id = self._waiting.take()
                if run_id is None:
                    continue
                # counted from here on, so that a terminate during the fork finds it
                entry = replace(self._entries[run_id], state="running")
                self._entries[run_id] = entry
            self._start(entry)

    def _start(self, entry: Entry) -> None:
        try:
            pid = self._fork(entry)
        except PreloadFailed as error:
            _LOG.error("launch_failed run=%s cause=%s", entry.run_id, error)
            instance = self._instance(entry.instance)
            run = instance.get_run_by_id(entry.run_id)
            if run is not None:
                instance.report_engine_event(f"No preloaded process could execute the run: {error}", run)
            self._settle(entry, status=None)
            return
        process = identify(pid)
        if process is None:
            # ended before it could be looked at: the parent's word is enough
            self._finish(entry, pid)
            return
        with self._lock:
            entry = replace(self._entries[entry.run_id], process=process)
            self._entries[entry.run_id] = entry
        if entry.kill_at is not None:
            process.signal(signal.SIGINT)
        self._watch_child(entry)

    def _fork(self, entry: Entry) -> int:
        code = code_origin(entry.origin, entry.instance)
        for attempt in range(BUILD_ATTEMPTS):
            try:
                return self._ready(code).fork(entry.run_id, instance=entry.instance, ledger=self._ledger.path)
            except PreloadFailed:
                if attempt == BUILD_ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    def _ready(self, code: CodeOrigin) -> Preloaded:
        with self._lock:
            process = self._preloaded.get(code.key)
        reason = "none was there" if process is None else process.stale()
        if process is not None and reason is None:
            return process
        _LOG.info("preloading pointer=%r because=%r", code.pointer, reason)
        fresh = Preloaded(code, self._child_exited)
        with self._lock:
            self._preloaded[code.key] = fresh
        if process is not None:
            process.retire()
        return fresh

    def _watch_code(self) -> None:
        while not self._closing:
            time.sleep(WATCH_INTERVAL_S)
            with self._lock:
                processes = list(self._preloaded.values())
            for process in processes:
                if process.stale() is not None:
                    try:
                        self._ready(process.code)
                    except PreloadFailed as error:
                        _LOG.error("reload_failed pointer=%r cause=%s", process.code.pointer, error)

    def _child_exited(self, pid: int, status: int) -> None:
        with self._lock:
            self._statuses[pid] = status
            self._lock.notify_all()

    def _watch_child(self, entry: Entry) -> None:
        threading.Thread(target=self._wait, args=(entry,), name=f"run-{entry.run_id[:8]}", daemon=True).start()

    def _wait(self, entry: Entry) -> None:
        process = entry.process
        if process is None:
            self._settle(entry, status=None)
            return
        while not process.wait(timeout_s=1.0):
            with self._lock:
                kill_at = self._entries[entry.run_id].kill_at
            if kill_at is not None and time.time() >= kill_at:
                self._kill(process, entry.run_id)
        self._finish(entry, process.pid)

    def _kill(self, process: ProcessId, run_id: str) -> None:
        if process.signal(signal.SIGKILL):
            _LOG.warning("killed run=%s pid=%d grace_s=%.0f", run_id, process.pid, self._settings.grace_s)

    def _finish(self, entry: Entry, pid: int) -> None:
        with self._lock:
            self._lock.wait_for(lambda: pid in self._statuses, timeout=STATUS_WAIT_S)
            status = self._statuses.pop(pid, None)
        recorded = self._ledger.get(entry.run_id)
        if recorded is not None and recorded.process is not None and recorded.process.pid != pid:
            # our child found that an earlier pool's child executes the run: that one is watched instead
            with self._lock:
                self._entries[entry.run_id] = recorded
            self._watch_child(recorded)
            return
        self._settle(entry, status=status)

    def _settle(self, entry: Entry, *, status: int | None) -> None:
        with self._lock:
            current = self._entries.get(entry.run_id, entry)
        killed = current.kill_at is not None and time.time() >= current.kill_at
        pid = None if current.process is None else current.process.pid
        said = settle(self._instance(entry.instance), entry.run_id, pid=pid, status=status, killed=killed)
        if said is not None:
            _LOG.warning("settled run=%s said=%r", entry.run_id, said)
        self._ledger.remove(entry.run_id)
        with self._lock:
            self._entries.pop(entry.run_id, None)
            self._lock.notify_all()

    def _instance(self, reference: str) -> DagsterInstance:
        with self._lock:
            if reference not in self._instances:
                self._instances[reference] = DagsterInstance.from_ref(deserialize_value(reference, InstanceRef))
            return self._instances[reference]
