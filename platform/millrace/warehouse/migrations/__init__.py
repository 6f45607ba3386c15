"""Brings the tables of a database up to date. Alembic, configured here and not in a file."""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, inspect, text

from millrace.contracts.errors import Conflict
from millrace.warehouse.engine import READ_ONLY

HEAD: Final = "0003"
"""Newest revision under versions/ (a test compares them): a database that has it needs no Alembic, which takes 0.3 s to
import."""
_TABLE: Final = "alembic_version"


def upgrade(engine: Engine) -> None:
    """Creates or changes the tables until they are those of this version of the code.

    Of two processes that do it at once, one waits and finds it done.

    Raises:
        Conflict: a newer version of the code has changed the tables already.
    """
    with engine.execution_options(**READ_ONLY).connect() as connection:
        if revision_of(connection) == HEAD:
            return
    # a write transaction: SQLite's BEGIN IMMEDIATE or the advisory lock on PostgreSQL lets one in at a time
    with engine.begin() as connection:
        if revision_of(connection) != HEAD:
            _run_alembic(connection)


def revision_of(connection: Connection) -> str | None:
    """The revision that the database is at, None when it has no tables yet."""
    if not inspect(connection).has_table(_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {_TABLE}")).scalar_one_or_none()


def _run_alembic(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    # Config reads percent signs as interpolation
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    current = revision_of(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise Conflict(
            f"the warehouse's database is at revision {current}, which this version of Millrace does not know",
            field="MILLRACE_DATABASE_URL",
            remedy="run the version of Millrace that made it, or a newer one",
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
