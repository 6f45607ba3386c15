"""Dagster's PostgreSQL storage, quick enough for processes that live for one run. Needs the package dagster-postgres.

```yaml
storage:
  custom:
    module: warm_runs.postgres
    class: WarmPostgresStorage
    config:
      postgres_url: {env: DAGSTER_POSTGRES_URL}
```

Tables, statements and the fields of `config` are those of `DagsterPostgresStorage`: either goes on with what the other
has written. Left out is what that one does again and again: a connection for each use, an engine for each of its three
parts, and the question which tables and columns there are.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Self

import sqlalchemy
from dagster._serdes import ConfigurableClassData
from dagster_postgres.auth import PgTokenProvider
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.run_storage import PostgresRunStorage
from dagster_postgres.schedule_storage import PostgresScheduleStorage
from dagster_postgres.storage import DagsterPostgresStorage
from dagster_postgres.utils import get_token_provider_from_config, pg_url_from_config

from warm_runs.lasting import lasting
from warm_runs.postgres_engine import engine_for

_MADE = {"event_logs", "asset_event_tags", "runs", "instance_info", "instigators"}
_found_made: set[str] = set()
_lasting = partial(lasting, url="postgres_url")


class _Runs(PostgresRunStorage):
    has_built_index = _lasting(PostgresRunStorage.has_built_index)
    has_run_stats_index_cols = _lasting(PostgresRunStorage.has_run_stats_index_cols)
    has_bulk_actions_selector_cols = _lasting(PostgresRunStorage.has_bulk_actions_selector_cols)
    has_backfill_id_column = _lasting(PostgresRunStorage.has_backfill_id_column)
    has_bulk_action_job_name_column = _lasting(PostgresRunStorage.has_bulk_action_job_name_column)
    has_backfill_tags_table = _lasting(PostgresRunStorage.has_backfill_tags_table)


class _Events(PostgresEventLogStorage):
    has_table = _lasting(PostgresEventLogStorage.has_table)
    has_secondary_index = _lasting(PostgresEventLogStorage.has_secondary_index)
    has_asset_key_col = _lasting(PostgresEventLogStorage.has_asset_key_col)
    _has_asset_key_col_on_connection = _lasting(PostgresEventLogStorage._has_asset_key_col_on_connection)


class _Schedules(PostgresScheduleStorage):
    has_built_index = _lasting(PostgresScheduleStorage.has_built_index)
    has_secondary_index_table = _lasting(PostgresScheduleStorage.has_secondary_index_table)
    has_instigators_table = _lasting(PostgresScheduleStorage.has_instigators_table)
    _has_instigators_table = _lasting(PostgresScheduleStorage._has_instigators_table)
    _has_asset_daemon_asset_evaluations_table = _lasting(
        PostgresScheduleStorage._has_asset_daemon_asset_evaluations_table
    )


class WarmPostgresStorage(DagsterPostgresStorage):
    """Runs, events and schedules in a PostgreSQL database."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
        token_provider: PgTokenProvider | None = None,
    ) -> None:
        super(DagsterPostgresStorage, self).__init__()  # type: ignore[no-untyped-call]
        self.postgres_url = postgres_url
        self.should_autocreate_tables = should_autocreate_tables
        self._inst_data = inst_data
        engine = engine_for(postgres_url, token_provider)
        if should_autocreate_tables and not _made(engine, postgres_url):
            # made, and brought to their first revision, as Dagster does it
            DagsterPostgresStorage(postgres_url, token_provider=token_provider)
        self._run_storage = _Runs(postgres_url, should_autocreate_tables=False)
        self._event_log_storage = _Events(postgres_url, should_autocreate_tables=False)
        self._schedule_storage = _Schedules(postgres_url, should_autocreate_tables=False)
        for part in (self._run_storage, self._event_log_storage, self._schedule_storage):
            part._engine, part._token_provider = engine, token_provider

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """The storage as configured."""
        return cls(
            pg_url_from_config(config_value),
            bool(config_value.get("should_autocreate_tables", True)),
            inst_data,
            get_token_provider_from_config(config_value),
        )


def _made(engine: sqlalchemy.Engine, url: str) -> bool:
    if url not in _found_made and set(sqlalchemy.inspect(engine).get_table_names()) >= _MADE:
        _found_made.add(url)
    return url in _found_made
