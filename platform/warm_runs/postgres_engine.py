"""Connections to PostgreSQL: one engine for all storages on a database, and each connection kept for its next use.

Dagster's storages close each connection after one use. For the server each is a process that it forks, for both sides
an exchange of keys and passwords: more work than most of what is then asked.
"""

import os
import select
from typing import Any
from weakref import WeakSet

from dagster_postgres.auth import PgTokenProvider
from dagster_postgres.utils import create_pg_engine
from sqlalchemy import Engine, event
from sqlalchemy.exc import InvalidatePoolError

MOST_KEPT = 4
"""Connections to a database that a process keeps open while nothing uses them. More are opened when more are used at
once, as many as Dagster's own storage would open, and closed after their use."""
RECYCLE_S = 300
"""Age at which a connection is replaced: below the 350 s after which the first networks drop silent ones."""

_shared: dict[str, Engine] = {}
_all: WeakSet[Engine] = WeakSet()


def engine_for(url: str, token_provider: PgTokenProvider | None) -> Engine:
    """The engine that this process has for the database; one of its own for passwords that a provider gives."""
    if token_provider is not None:
        return _make(url, token_provider)
    return _shared[url] if url in _shared else _shared.setdefault(url, _make(url, None))


def _make(url: str, token_provider: PgTokenProvider | None) -> Engine:
    engine = create_pg_engine(
        url, token_provider, isolation_level="AUTOCOMMIT", pool_size=MOST_KEPT, max_overflow=-1,
        # the others grow old where one is enough
        pool_use_lifo=True, pool_recycle=RECYCLE_S,
    )  # fmt: skip
    event.listen(engine, "checkout", _check)
    _all.add(engine)
    return engine


def _check(connection: Any, record: object, proxy: object) -> None:
    # a server that ends a connection says so and closes its end, and otherwise says nothing unasked: there is no need
    # to ask for a sign of life before each use
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        raise InvalidatePoolError("the server has closed the connection")


def _close_all() -> None:
    for engine in list(_all):
        engine.dispose()


def _disown() -> None:
    # what other threads of the parent used at the fork must be neither used nor closed here
    for engine in list(_all):
        engine.dispose(close=False)


os.register_at_fork(before=_close_all, after_in_child=_disown)
