"""The pool: a bounded number of running children, fair lanes, and a watcher for each child.

Requests, one dispatcher that forks, and the watchers share the state under one lock. A run is in the ledger before the
pool hears of it, and its child claims it there before it executes anything, so that a pool that is killed at any line
is taken over by the next one.
"""

import logging
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from warm_runs.lanes import Lanes
from warm_runs.ledger import Entry, Ledger
from warm_runs.origins import code_origin
from warm_runs.outcome import Settler
from warm_runs.preloaded import CodeOrigin, Preloaded, PreloadFailed
from warm_runs.preloads import Preloads
from warm_runs.processes import ProcessId, end_session, identify

_LOG = logging.getLogger("warm_runs")

WATCH_INTERVAL_S = 1.0
"""Between looks at the code's files and the ledger. A change is also looked for at each launch: this hides the load."""
WATCH_SHARE = 0.02
"""Largest part of one core that looking at files may take: a large folder is looked at less often."""
STATUS_WAIT_S = 0.3
"""A child's end is seen through its pidfd and by its parent; the parent's word, which names the signal, comes a little
later and is waited for this long."""
FORK_ATTEMPTS = 5
"""Forks that are tried for a run before it fails."""


@dataclass(frozen=True)
class PoolSettings:
    """`max_children` bounds the runs that execute at once, `max_preloaded` the code origins that are kept loaded;
    `grace_s` is the time between an interrupt and the kill."""

    max_children: int = 10
    grace_s: float = 15.0
    max_preloaded: int = 4


class Pool:
    """Launches, ends and watches runs."""

    def __init__(self, ledger: Ledger, settings: PoolSettings) -> None:
        self._ledger = ledger
        self._settings = settings
        self._lock = threading.Condition()
        self._waiting = Lanes()
        self._entries: dict[str, Entry] = {}
        self._asked: dict[str, float] = {}
        self._attempts: Counter[str] = Counter()
        self._statuses: dict[int, int] = {}
        self._preloads = Preloads(most=settings.max_preloaded, on_exit=self._child_exited, changed=self._loaded)
        self._settler = Settler()
        self._closing = threading.Event()

    def start(self) -> None:
        """Takes over what an earlier pool left and begins to dispatch."""
        self._adopt()
        for target in (self._dispatch, self._watch):
            threading.Thread(target=target, name=target.__name__, daemon=True).start()

    def close(self) -> None:
        """Stops dispatching and retires the preloaded processes; running children go on."""
        with self._lock:
            self._closing.set()
            self._lock.notify_all()
        self._preloads.close()

    def warm(self, origin: str, instance: str) -> None:
        """Begins to load the code, so that its first run finds it loaded."""
        self._preloads.usable(code_origin(origin, instance), time.monotonic())

    def launch(self, run_id: str) -> dict[str, Any]:
        """Takes charge of a run that is in the ledger; the same run again changes nothing."""
        entry = self._ledger.get(run_id)
        if self._closing.is_set() or entry is None:
            return {"ok": False, "error": "the pool is closing" if entry else "the run was withdrawn"}
        self._take_charge(entry)
        return {"ok": True}

    def terminate(self, run_id: str) -> dict[str, Any]:
        """Ends a run: a waiting one at once, a running one by interrupt and, past the grace period, by kill."""
        with self._lock:
            entry = self._entries.get(run_id)
            if entry is None:
                return {"ok": False, "error": "this pool does not have the run"}
            waiting = self._waiting.discard(run_id)
            if not waiting:
                entry = replace(entry, kill_at=entry.kill_at or time.time() + self._settings.grace_s)
                self._entries[run_id] = entry
        self._ledger.end_by(run_id, entry.kill_at or time.time())
        if waiting:
            self._settle(entry)
            return {"ok": True, "state": "pending"}
        self._interrupt(entry)
        return {"ok": True, "state": "running"}

    def status(self) -> dict[str, Any]:
        """Counts and the preloaded processes, for people."""
        with self._lock:
            counts = {"waiting": len(self._waiting), "running": self._children()}
        preloaded = [
            {"pid": process.pid, "code": process.code.pointer, "error": process.error, "bare": process.bare,
             "more": process.more}
            for process in self._preloads.processes()
        ]  # fmt: skip
        return {"ok": True, **counts, "preloaded": preloaded}

    def _children(self) -> int:
        return sum(entry.state == "running" for entry in self._entries.values())

    def _adopt(self) -> None:
        for entry in self._ledger.entries():
            if self._take_charge(entry):
                _LOG.info("adopted run=%s state=%s", entry.run_id, entry.state)
                continue
            with self._lock:
                ours = self._entries.get(entry.run_id)
                if ours is not None and ours.kill_at is None and entry.kill_at is not None:
                    # a launcher interrupted it while it could not reach us; the kill is still ours to do
                    self._entries[entry.run_id] = replace(ours, kill_at=entry.kill_at)

    def _take_charge(self, entry: Entry) -> bool:
        with self._lock:
            if entry.run_id in self._entries:
                return False
            self._entries[entry.run_id] = entry
            self._asked[entry.run_id] = time.monotonic()
            ended = entry.state == "pending" and entry.kill_at is not None
            if entry.state == "pending" and not ended:
                self._waiting.put(entry.lane, entry.run_id)
                self._lock.notify_all()
        if ended:
            threading.Thread(target=self._settle, args=(entry,), daemon=True).start()
        elif entry.state == "running":
            self._watch_child(entry)
        return True

    def _code(self, run_id: str) -> CodeOrigin:
        entry = self._entries[run_id]
        return code_origin(entry.origin, entry.instance)

    def _may_start(self, run_id: str) -> bool:
        return not self._preloads.awaited(self._code(run_id), self._asked[run_id])

    def _dispatch(self) -> None:
        while True:
            with self._lock:
                run_id = None
                while not self._closing.is_set():
                    if self._children() < self._settings.max_children:
                        run_id = self._waiting.take(self._may_start)
                    if run_id is not None:
                        break
                    self._lock.wait()
                if run_id is None:
                    return
                # counted from here on, so that a terminate during the fork finds it
                entry = replace(self._entries[run_id], state="running")
                self._entries[run_id] = entry
            process = self._preloads.usable(self._code(run_id), self._asked[run_id])
            if process is None:
                self._put_back(entry)
            else:
                self._start(entry, process)

    def _start(self, entry: Entry, preloaded: Preloaded) -> None:
        try:
            pid = preloaded.fork(entry.run_id, instance=entry.instance, ledger=self._ledger.path)
        except PreloadFailed as error:
            _LOG.warning("not_forked run=%s cause=%s", entry.run_id, error)
            self._attempts[entry.run_id] += 1
            if self._attempts[entry.run_id] >= FORK_ATTEMPTS:
                self._settle(entry, cause=str(error))
                return
            self._preloads.load(preloaded.code, str(error))
            self._put_back(entry)
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
            self._interrupt(entry)
        self._watch_child(entry)

    def _put_back(self, entry: Entry) -> None:
        with self._lock:
            current = self._entries[entry.run_id]
            self._entries[entry.run_id] = replace(current, state="pending")
            if current.kill_at is None:
                self._waiting.put_back(entry.lane, entry.run_id)
                return
        self._settle(entry)

    def _loaded(self, code: CodeOrigin, cause: str | None) -> None:
        failed: list[Entry] = []
        with self._lock:
            if self._closing.is_set():
                # what waits is the successor's
                return
            if cause is not None:
                waiting = [run_id for run_id in self._waiting.waiting() if self._code(run_id).key == code.key]
                failed = [self._entries[run_id] for run_id in waiting if self._waiting.discard(run_id)]
            else:
                _LOG.info("warmed pointer=%r", code.pointer)
            self._lock.notify_all()
        for entry in failed:
            # nobody may claim it any more, a late child of an earlier pool included
            self._ledger.end_by(entry.run_id, time.time())
            self._settle(entry, cause=cause)

    def _watch(self) -> None:
        pause = WATCH_INTERVAL_S
        while not self._closing.wait(pause):
            began = time.thread_time()
            self._preloads.renew()
            # a launcher that died after it had written: its run is there though nobody told of it
            self._adopt()
            pause = max(WATCH_INTERVAL_S, (time.thread_time() - began) / WATCH_SHARE)

    def _child_exited(self, pid: int, status: int) -> None:
        with self._lock:
            self._statuses[pid] = status
            self._lock.notify_all()

    def _watch_child(self, entry: Entry) -> None:
        threading.Thread(target=self._wait, args=(entry,), name=f"run-{entry.run_id[:8]}", daemon=True).start()

    def _wait(self, entry: Entry) -> None:
        process = entry.process
        if process is None:
            self._settle(entry)
            return
        while not process.wait(timeout_s=1.0):
            kill_at = self._entries[entry.run_id].kill_at
            if kill_at is not None and time.time() >= kill_at:
                self._kill(process, entry.run_id)
        self._finish(entry, process.pid)

    def _interrupt(self, entry: Entry) -> None:
        # who asked is answered at once: the run may have to begin before
        if entry.process is not None:
            threading.Thread(target=self._settler.interrupt, args=(entry, entry.process), daemon=True).start()

    def _kill(self, process: ProcessId, run_id: str) -> None:
        if process.signal(signal.SIGKILL):
            _LOG.warning("killed run=%s pid=%d grace_s=%.0f", run_id, process.pid, self._settings.grace_s)

    def _finish(self, entry: Entry, pid: int) -> None:
        with self._lock:
            self._lock.wait_for(lambda: pid in self._statuses, timeout=STATUS_WAIT_S)
            status = self._statuses.pop(pid, None)
        if status is None and end_session(pid):
            _LOG.warning("ended what run=%s pid=%d left behind", entry.run_id, pid)
        recorded = self._ledger.get(entry.run_id)
        if recorded is None:
            # withdrawn, or settled by a launcher: another process executes it, or none ever will
            self._forget(entry)
        elif recorded.process is not None and recorded.process.pid != pid:
            # our child found that an earlier pool's child executes the run: that one is watched instead
            with self._lock:
                self._entries[entry.run_id] = recorded
            self._watch_child(recorded)
        else:
            self._settle(entry, status=status)

    def _settle(self, entry: Entry, *, status: int | None = None, cause: str | None = None) -> None:
        with self._lock:
            current = self._entries.get(entry.run_id, entry)
        self._settler.settle(current, status=status, cause=cause)
        self._ledger.remove(entry.run_id)
        self._forget(entry)

    def _forget(self, entry: Entry) -> None:
        with self._lock:
            self._entries.pop(entry.run_id, None)
            self._asked.pop(entry.run_id, None)
            self._attempts.pop(entry.run_id, None)
            self._lock.notify_all()
