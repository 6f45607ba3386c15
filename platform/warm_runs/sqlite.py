"""Dagster's SQLite storage, quick enough for processes that live for one run.

```yaml
storage:
  custom:
    module: warm_runs.sqlite
    class: WarmSqliteStorage
    config: {base_dir: {env: DAGSTER_HOME}}
```

Files, tables and statements are those of `DagsterSqliteStorage`: either opens what the other has written. Left out is
what that one does again and again: an engine for each connection, a look for migrations in each process and for each
run's file, the making of a run's file table by table, and the question which tables the schedules have.
"""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Self

import sqlalchemy
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from warm_runs.lasting import lasting
from warm_runs.placing import place
from warm_runs.sqlite_files import close_below, transaction

_lasting = partial(lasting, url="_conn_string")


class WarmSqliteStorage(DagsterSqliteStorage):
    """Runs, events and schedules in SQLite files below `base_dir`."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super(DagsterSqliteStorage, self).__init__()  # type: ignore[no-untyped-call]
        self.base_dir = base_dir
        history = Path(base_dir, "history")
        self._run_storage = _Runs.from_local(str(history))
        self._event_log_storage = _Events(str(history / "runs"))
        self._schedule_storage = _Schedules.from_local(str(Path(base_dir, "schedules")))
        self._inst_data = inst_data

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Any) -> Self:
        """The storage as configured."""
        return cls.from_local(inst_data=inst_data, **config_value)


class _Runs(SqliteRunStorage):
    @classmethod
    def from_local(cls, base_dir: str, inst_data: ConfigurableClassData | None = None) -> Self:
        path = Path(base_dir, "runs.db").absolute()
        # made, and brought to its first revision, as Dagster does it
        return cls(f"sqlite:///{path}", inst_data) if _made(path) else super().from_local(base_dir, inst_data)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with transaction(_path(self._conn_string)) as connection:
            yield connection

    def dispose(self) -> None:
        super().dispose()
        # the other storages' too: Dagster tells the schedules' nothing
        close_below(_path(self._conn_string).parents[1])


class _Schedules(SqliteScheduleStorage):
    has_built_index = _lasting(SqliteScheduleStorage.has_built_index)
    has_secondary_index_table = _lasting(SqliteScheduleStorage.has_secondary_index_table)
    has_instigators_table = _lasting(SqliteScheduleStorage.has_instigators_table)
    _has_instigators_table = _lasting(SqliteScheduleStorage._has_instigators_table)

    @classmethod
    def from_local(cls, base_dir: str, inst_data: ConfigurableClassData | None = None) -> SqliteScheduleStorage:
        path = Path(base_dir, "schedules.db").absolute()
        return cls(f"sqlite:///{path}", inst_data) if _made(path) else super().from_local(base_dir, inst_data)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with transaction(_path(self._conn_string)) as connection:
            yield connection


class _Events(SqliteEventLogStorage):
    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        path = Path(self.path_for_shard(shard))
        if shard not in self._initialized_dbs:
            if shard != INDEX_SHARD_NAME:
                place(path, _empty_shard(), mode=0o666)
            if not _made(path):
                engine = create_engine(self.conn_string_for_shard(shard), poolclass=NullPool)
                self._initdb(engine, for_index_shard=shard == INDEX_SHARD_NAME)
            self._initialized_dbs.add(shard)
        # without the lock that Dagster holds here: no two threads share a connection
        with transaction(path) as connection:
            yield connection

    def has_table(self, table_name: str) -> bool:
        with self.index_connection() as connection:
            return sqlalchemy.inspect(connection).has_table(table_name)


def _path(conn_string: str) -> Path:
    return Path(conn_string.removeprefix("sqlite:///"))


def _made(path: Path) -> bool:
    """Whether Dagster has made its tables there and noted their revision."""
    if not path.exists():
        return False
    with transaction(path) as connection:
        try:
            return connection.exec_driver_sql("SELECT 1 FROM alembic_version").first() is not None
        except sqlalchemy.exc.OperationalError as error:
            if "no such table" in str(error):
                return False
            raise


@lru_cache(maxsize=1)
def _empty_shard() -> bytes:
    """A run's file before its first event, made by Dagster."""
    with tempfile.TemporaryDirectory() as folder:
        storage = SqliteEventLogStorage(folder)
        with storage.run_connection("empty"):
            pass
        path = storage.path_for_shard("empty")
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return Path(path).read_bytes()
