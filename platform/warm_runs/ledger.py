"""Which run is which process, on disk: what a restarted pool, or a launcher without a pool, goes by."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from warm_runs.placing import place
from warm_runs.processes import ProcessId

State = Literal["pending", "running"]

_TABLE = """
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    lane TEXT NOT NULL,
    origin TEXT NOT NULL,
    instance TEXT NOT NULL,
    pid INTEGER,
    started INTEGER,
    kill_at REAL,
    seq INTEGER NOT NULL
)
"""
_COLUMNS = "run_id, state, lane, origin, instance, pid, started, kill_at"


@dataclass(frozen=True)
class Entry:
    """A run that the pool answers for. `kill_at` is wall-clock seconds, set once an end was asked for."""

    run_id: str
    state: State
    lane: str
    origin: str
    instance: str
    process: ProcessId | None = None
    kill_at: float | None = None


class Ledger:
    """The table of unfinished runs; an entry is removed when its run has its final state."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # its owner's only: an instance's configuration may hold a password
        place(path, mode=0o600)
        with self._open() as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(_TABLE)

    def add(self, entry: Entry) -> None:
        """Records a run that is to be launched; the same run again changes nothing."""
        with self._open() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO runs (run_id, state, lane, origin, instance, seq)"
                " VALUES (?, 'pending', ?, ?, ?, (SELECT COALESCE(MAX(seq), 0) + 1 FROM runs))",
                (entry.run_id, entry.lane, entry.origin, entry.instance),
            )

    def claim(self, run_id: str, process: ProcessId) -> bool:
        """Makes the process the one that executes the run; false when another has claimed it, or its end was asked for.

        Called by the child itself, so that a pool that dies between fork and record never leads to a second execution.
        """
        with self._open() as connection:
            claimed = connection.execute(
                "UPDATE runs SET state = 'running', pid = ?, started = ?"
                " WHERE run_id = ? AND state = 'pending' AND kill_at IS NULL",
                (process.pid, process.started, run_id),
            )
            return claimed.rowcount == 1

    def withdraw(self, run_id: str) -> bool:
        """Forgets a run unless a process has claimed it; false when one has. Nobody can claim it afterwards."""
        with self._open() as connection:
            connection.execute("DELETE FROM runs WHERE run_id = ? AND state = 'pending'", (run_id,))
            return connection.execute("SELECT 1 FROM runs WHERE run_id = ?", (run_id,)).fetchone() is None

    def end_by(self, run_id: str, kill_at: float) -> None:
        """Records that the run's end was asked for, and when it is killed if it has not ended: the earliest time."""
        with self._open() as connection:
            connection.execute(
                "UPDATE runs SET kill_at = MIN(COALESCE(kill_at, ?), ?) WHERE run_id = ?", (kill_at, kill_at, run_id)
            )

    def remove(self, run_id: str) -> None:
        """Forgets a run that has its final state."""
        with self._open() as connection:
            connection.execute("DELETE FROM runs WHERE run_id = ?", (run_id,))

    def get(self, run_id: str) -> Entry | None:
        """The entry of a run."""
        with self._open() as connection:
            row = connection.execute(f"SELECT {_COLUMNS} FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        return None if row is None else _entry(row)

    def entries(self) -> list[Entry]:
        """All entries, oldest first."""
        with self._open() as connection:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM runs ORDER BY seq").fetchall()
        return [_entry(row) for row in rows]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        # a connection per use: several processes and threads write, none holds it over a fork
        connection = sqlite3.connect(self.path, timeout=10)
        try:
            with connection:
                yield connection
        finally:
            connection.close()


def _entry(row: tuple[str, State, str, str, str, int | None, int | None, float | None]) -> Entry:
    run_id, state, lane, origin, instance, pid, started, kill_at = row
    process = None if pid is None or started is None else ProcessId(pid, started)
    return Entry(run_id, state, lane, origin, instance, process, kill_at)
