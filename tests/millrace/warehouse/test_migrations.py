import subprocess
import sys
from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import delete, inspect, select, text, update
from sqlalchemy.exc import IntegrityError

from millrace.contracts.errors import Conflict
from millrace.contracts.events import now
from millrace.settings import Settings
from millrace.warehouse import migrations
from millrace.warehouse.engine import make_engine
from millrace.warehouse.migrations import HEAD, revision_of, upgrade
from millrace.warehouse.schema import History, Statement, Table
from millrace.warehouse.store import Warehouse, open_warehouse


@pytest.fixture
def fresh(blank_settings: Settings) -> Iterator[Warehouse]:
    """A warehouse that no other test uses."""
    opened = open_warehouse(blank_settings, migrate=True)
    yield opened
    opened.engine.dispose()


def test_migrated_tables_are_exactly_those_of_the_schema(fresh: Warehouse) -> None:
    with fresh.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Table.metadata) == []
        assert revision_of(connection) == HEAD


def test_the_comparison_sees_a_table_that_differs(fresh: Warehouse) -> None:
    with fresh.transaction() as session:
        session.execute(text("ALTER TABLE webhooks ADD COLUMN extra INTEGER"))
        session.execute(text("DROP INDEX ix_pipelines_state"))
    with fresh.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = [one[0] for one in compare_metadata(context, Table.metadata)]
    assert sorted(differences) == ["add_index", "remove_column"]


def test_head_names_the_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations.__path__[0]))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_upgrading_again_changes_nothing(fresh: Warehouse) -> None:
    upgrade(fresh.engine)
    upgrade(fresh.engine)
    with fresh.engine.connect() as connection:
        assert revision_of(connection) == HEAD


def test_two_processes_may_upgrade_at_once(blank_settings: Settings) -> None:
    blank_settings.home.mkdir(parents=True)
    code = (
        "import sys\n"
        "from millrace.warehouse.engine import make_engine\n"
        "from millrace.warehouse.migrations import upgrade\n"
        "upgrade(make_engine(sys.argv[1]))\n"
    )
    upgrades = [
        subprocess.Popen([sys.executable, "-c", code, blank_settings.database], stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for one in upgrades:
        _, errors = one.communicate(timeout=60)
        assert one.returncode == 0, errors.decode()

    engine = make_engine(blank_settings.database)
    with engine.connect() as connection:
        assert revision_of(connection) == HEAD
        assert inspect(connection).has_table("history")
    engine.dispose()


def test_tables_of_a_newer_version_are_left_alone(blank_settings: Settings, fresh: Warehouse) -> None:
    with fresh.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(Conflict, match="9999"):
        open_warehouse(blank_settings, migrate=True)


def _history(warehouse: Warehouse) -> None:
    with warehouse.transaction() as session:
        session.add(
            History(
                pipeline_id="pl-1",
                seq=1,
                at=now(),
                actor="conductor",
                cause="event:e",
                to_state="queued",
                message="began",
                detail={},
            )
        )


@pytest.mark.parametrize("change", ["update", "delete"])
def test_history_is_append_only(warehouse: Warehouse, upload, add_pipeline, change: str) -> None:
    upload()
    add_pipeline()
    _history(warehouse)
    statement = update(History).values(message="something else") if change == "update" else delete(History)

    with pytest.raises(IntegrityError, match="append-only"), warehouse.transaction() as session:
        session.execute(statement)

    with warehouse.read() as session:
        assert session.scalars(select(History.message)).all() == ["began"]


@pytest.mark.parametrize("change", ["update", "delete"])
def test_statements_are_append_only(warehouse: Warehouse, upload, change: str) -> None:
    upload()
    statement = update(Statement).values(seconds=0.0) if change == "update" else delete(Statement)

    with pytest.raises(IntegrityError, match="append-only"), warehouse.transaction() as session:
        session.execute(statement)


@pytest.mark.postgres
def test_postgresql_refuses_to_truncate_history(make_settings, tmp_path, postgres_database: str) -> None:
    warehouse = open_warehouse(make_settings(tmp_path, MILLRACE_DATABASE_URL=postgres_database), migrate=True)
    with pytest.raises(IntegrityError, match="append-only"), warehouse.transaction() as session:
        session.execute(text("TRUNCATE history"))
    warehouse.engine.dispose()
