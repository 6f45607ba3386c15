"""At most one relay at work: the operating system or PostgreSQL holds the lock, and frees it when the holder dies."""

import fcntl
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from sqlalchemy import Engine

from millrace.contracts.errors import CannotReach

if TYPE_CHECKING:
    import psycopg

log = logging.getLogger(__name__)

# pg_try_advisory_lock key: "mlrr" in ASCII
_RELAY_LOCK: Final = 0x6D6C7272


class Leadership(Protocol):
    """A lock that one process of all those on the same database can hold."""

    def acquire(self) -> bool:
        """Whether this process holds the lock now; does not wait."""
        ...

    def holds(self) -> bool:
        """Whether the lock is still held."""
        ...

    def release(self) -> None:
        """Gives the lock back."""
        ...


def leadership_of(engine: Engine) -> Leadership:
    """The relay's lock on that database."""
    if engine.dialect.name == "sqlite":
        return FileLock(Path(f"{engine.url.database}.relay-lock"))
    return DatabaseLock(engine)


class FileLock:
    """`flock` beside a SQLite file, which only processes of one machine use anyway."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Whether this process holds the lock now; does not wait."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def holds(self) -> bool:
        """Whether the lock is still held; a file lock is not lost while the process lives."""
        return self._descriptor is not None

    def release(self) -> None:
        """Gives the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class DatabaseLock:
    """A session-level advisory lock on a connection that is kept for it.

    When the connection breaks, PostgreSQL frees the lock, and `holds` says so before the next batch. What was on its
    way to the broker then may arrive beside the next holder's first events: at least once, as always.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    def acquire(self) -> bool:
        """Whether this process holds the lock now; does not wait.

        Raises:
            CannotReach: the database does not answer.
        """
        import psycopg

        if self._connection is not None:
            return True
        try:
            # not from the pool: a pooled connection would keep the lock when it is given back
            _, options = self._engine.dialect.create_connect_args(self._engine.url)
            connection = psycopg.connect(**options, autocommit=True, connect_timeout=10)
            row = connection.execute(f"SELECT pg_try_advisory_lock({_RELAY_LOCK})").fetchone()
        except psycopg.Error as error:
            raise CannotReach(
                f"the warehouse's database does not answer: {error}", remedy="run `millrace doctor`"
            ) from error
        if row is None or not row[0]:
            connection.close()
            return False
        self._connection = connection
        return True

    def holds(self) -> bool:
        """Whether the lock is still held: its connection answers."""
        import psycopg

        if self._connection is None:
            return False
        try:
            self._connection.execute("SELECT 1")
        except psycopg.Error:
            self.release()
            return False
        return True

    def release(self) -> None:
        """Gives the lock back."""
        import psycopg

        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            # closing frees it too, but some time after
            connection.execute(f"SELECT pg_advisory_unlock({_RELAY_LOCK})")
        except psycopg.Error:
            log.info("relay.lock_connection_broken")
        connection.close()
