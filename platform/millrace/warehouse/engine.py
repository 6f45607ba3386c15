"""Engines on SQLite and PostgreSQL that behave alike: write transactions come one after the other, in commit order."""

from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL

LOCK_TIMEOUT_SECONDS: Final = 30
"""How long a write transaction waits for the one before it. Above any transaction of ours (milliseconds), below the
60 s after which PostgreSQL ends a transaction whose process hangs."""
IDLE_TIMEOUT_SECONDS: Final = 60
READ_ONLY: Final = {"millrace_read_only": True}
"""Execution options of a connection whose transactions only read."""

# pg_advisory_xact_lock key: "mlrc" in ASCII
_WRITE_LOCK: Final = 0x6D6C7263


def make_engine(url: str) -> Engine:
    """An engine for `sqlite:///…` or `postgresql+psycopg://…`; nothing is opened yet.

    Raises:
        ValueError: any other database.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    if parsed.get_backend_name() == "postgresql":
        return _postgresql(parsed)
    raise ValueError(f"the warehouse runs on SQLite and PostgreSQL, not on {parsed.get_backend_name()}")


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": LOCK_TIMEOUT_SECONDS, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        # None keeps the driver from beginning transactions by itself: it would begin them deferred, and a deferred
        # transaction that turns from reading to writing fails at once when another one writes
        connection.isolation_level = None
        cursor = connection.cursor()
        # WAL: readers never wait for the writer, nor the writer for them
        cursor.execute("PRAGMA journal_mode = WAL")
        # FULL: what was answered with 201, or sent to Kafka, is still there after a power cut (NORMAL would lose the
        # last commits in WAL mode); costs one fsync a transaction
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = _writes(connection)
        connection.exec_driver_sql(f"PRAGMA query_only = {'OFF' if writes else 'ON'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(url: URL) -> Engine:
    timeouts = {
        "lock_timeout": LOCK_TIMEOUT_SECONDS,
        "idle_in_transaction_session_timeout": IDLE_TIMEOUT_SECONDS,
    }
    options = " ".join(f"-c {name}={seconds}s" for name, seconds in timeouts.items())
    engine = create_engine(url, pool_pre_ping=True, connect_args={"options": options, "connect_timeout": 10})

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if _writes(connection):
            # ids of rows then stand in the order of the commits, which the relay's order per key rests on
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITE_LOCK})")
        else:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")

    return engine


def _writes(connection: Connection) -> bool:
    return not connection.get_execution_options().get("millrace_read_only", False)
