"""Connections to SQLite files: one engine for all of them, and each connection kept for its next use.

An engine of its own for each connection, as Dagster's storage makes it, compiles every statement again; and the last
connection to a file that is closed writes the whole log back and waits for the disk, with every event of a run.
"""

import atexit
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

BUSY_TIMEOUT_S = 30.0
"""Longest wait for another writer; Dagster's own storage waits as long."""
MOST_KEPT = 64
"""Connections that a process keeps open while nothing uses them; each holds three descriptors."""

_path: ContextVar[Path] = ContextVar("path of the database")


class _Connection(sqlite3.Connection):
    """A connection whose `close` keeps it for the next use of its file."""

    path: Path
    file: tuple[int, int]

    def close(self) -> None:
        _kept.put(self)

    def end(self) -> None:
        super().close()


class _Kept:
    """Connections that nothing uses, the longest unused first. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []

    def take(self, path: Path) -> _Connection | None:
        file = _identity(path)
        with self._lock:
            found = next((one for one in reversed(self._idle) if one.path == path), None)
            if found is None:
                return None
            self._idle.remove(found)
        if found.file == file:
            return found
        # the file was removed and made again: what is written to the old one nobody would read
        found.end()
        return None

    def put(self, connection: _Connection) -> None:
        with self._lock:
            self._idle.append(connection)
            surplus = self._idle.pop(0) if len(self._idle) > MOST_KEPT else None
        if surplus is not None:
            surplus.end()

    def close(self, below: Path | None = None) -> None:
        with self._lock:
            gone = [one for one in self._idle if below is None or below in one.path.parents]
            self._idle = [one for one in self._idle if one not in gone]
        for one in gone:
            one.end()

    def disown(self) -> None:
        """In a child: what a thread of the parent gave back during the fork must be neither used nor closed here."""
        self._lock = threading.Lock()
        self._parents, self._idle = self._idle, []


_kept = _Kept()
os.register_at_fork(before=_kept.close, after_in_child=_kept.disown)
atexit.register(_kept.close)


@contextmanager
def transaction(path: Path) -> Iterator[Connection]:
    """A connection in a transaction that is committed at the end of the block, or rolled back when it raises."""
    token = _path.set(path)
    try:
        connection = _engine().connect()
    finally:
        _path.reset(token)
    with connection, connection.begin():
        yield connection


def close_below(folder: Path) -> None:
    """Closes the connections to files in the folder that are not in use; their logs are written back."""
    _kept.close(folder)


@lru_cache(maxsize=1)
def _engine() -> Engine:
    return create_engine("sqlite://", creator=_connect, poolclass=NullPool)


def _connect() -> sqlite3.Connection:
    path = _path.get()
    kept = _kept.take(path)
    if kept is not None:
        return kept
    opened = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, check_same_thread=False, factory=_Connection)
    # in WAL mode nothing is corrupted by a loss of power; transactions of the last moments may be missing after it
    opened.execute("PRAGMA synchronous=NORMAL")
    opened.path, opened.file = path, _identity(path)
    return opened


def _identity(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return (0, 0)
    return found.st_dev, found.st_ino
