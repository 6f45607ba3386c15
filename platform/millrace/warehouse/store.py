"""The warehouse: metadata database, artifact store, and what every save needs to know."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from millrace import __version__
from millrace.contracts.errors import CannotReach
from millrace.contracts.topics import Topics
from millrace.settings import Settings
from millrace.warehouse.artifacts import ArtifactStore
from millrace.warehouse.engine import READ_ONLY, make_engine
from millrace.warehouse.migrations import upgrade


@dataclass(frozen=True)
class Warehouse:
    """Facts, bytes and the outbox. Safe to share between threads."""

    engine: Engine
    artifacts: ArtifactStore
    topics: Topics
    code_version: str

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A write transaction: commits at the end, rolls back on an error. One at a time on the whole database.

        Raises:
            CannotReach: the database does not answer, or another transaction held it for too long.
        """
        with _reachable(), Session(self.engine, expire_on_commit=False) as session, session.begin():
            # the session would begin with its first statement; the lock is to cover all that the caller does
            session.connection()
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One consistent view for reading; a write in it fails.

        Raises:
            CannotReach: the database does not answer.
        """
        reader = self.engine.execution_options(**READ_ONLY)
        with _reachable(), Session(reader, expire_on_commit=False) as session:
            yield session


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise CannotReach(
            f"the warehouse's database does not answer: {reason}", remedy="run `millrace doctor`"
        ) from error


def open_warehouse(settings: Settings, *, migrate: bool = False) -> Warehouse:
    """The warehouse that the settings name; with `migrate`, its tables are brought up to date first.

    Raises:
        CannotReach: the database does not answer.
        Conflict: a newer version of the code has changed the tables already.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    engine = make_engine(settings.database)
    if migrate:
        try:
            with _reachable():
                upgrade(engine)
        except BaseException:
            engine.dispose()
            raise
    return Warehouse(
        engine=engine,
        artifacts=ArtifactStore(settings.artifacts),
        topics=settings.topics,
        code_version=settings.code_version or __version__,
    )
