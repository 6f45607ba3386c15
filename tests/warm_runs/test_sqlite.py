"""WarmSqliteStorage is Dagster's SQLite storage: the same files, read and written by either."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetMaterialization, DagsterInstance, job, op
from sqlalchemy import Engine, event

from warm_runs.sqlite_files import MOST_KEPT, close_below, transaction

OURS = "storage: {custom: {module: warm_runs.sqlite, class: WarmSqliteStorage, config: {base_dir: %s}}}\n"
DAGSTERS = "storage: {sqlite: {base_dir: %s}}\n"
Open = Callable[[str], DagsterInstance]


@op
def make(context) -> None:
    context.log_event(AssetMaterialization("thing", metadata={"size": 1}))


@job
def makes() -> None:
    make()


@pytest.fixture
def opened(open_instance: Open, tmp_path: Path) -> Open:
    return lambda storage: open_instance(storage % (tmp_path / "storage"))


@pytest.mark.parametrize(("writes", "reads"), [(OURS, DAGSTERS), (DAGSTERS, OURS)])
def test_what_one_writes_the_other_reads_and_goes_on_with(
    opened: Open, check_that_it_goes_on: Callable[..., None], writes: str, reads: str
) -> None:
    check_that_it_goes_on(opened(writes), opened(reads), makes)


def test_which_tables_the_schedules_have_is_not_asked_twice(opened: Open) -> None:
    asked: dict[str, int] = {}
    for text in (DAGSTERS, OURS):
        instance, statements = opened(text), []

        def note(_: Any, __: Any, statement: str, *more: Any, into: list[str] = statements) -> None:
            into.append(statement)

        instance.all_instigator_state()
        event.listen(Engine, "before_cursor_execute", note)
        try:
            instance.all_instigator_state()
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        asked[text] = sum("sqlite_master" in one or "secondary_indexes" in one for one in statements)
        assert "instigators" in statements[-1]
    # the first number is another release's to change
    assert asked[DAGSTERS] > 1
    assert asked[OURS] == 0


def test_a_new_run_has_the_file_that_dagster_makes(opened: Open, tmp_path: Path) -> None:
    ours = makes.execute_in_process(instance=opened(OURS)).run_id
    dagsters = makes.execute_in_process(instance=opened(DAGSTERS)).run_id
    close_below(tmp_path)

    def made(run_id: str) -> tuple[list[str], str, str]:
        path = tmp_path / "storage" / "history" / "runs" / f"{run_id}.db"
        with closing(sqlite3.connect(path)) as connection:
            tables = [
                row[0] for row in connection.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL ORDER BY name")
            ]
            (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        return tables, revision, mode

    assert made(ours) == made(dagsters)
    assert made(ours)[2] == "wal"


def test_a_file_that_is_empty_after_a_crash_is_made_again(opened: Open, tmp_path: Path) -> None:
    instance = opened(OURS)
    shards = tmp_path / "storage" / "history" / "runs"
    (shards / "hurt.db").touch()
    with instance.event_log_storage.run_connection("hurt") as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM event_logs").scalar() == 0


def test_threads_of_two_processes_lose_nothing(opened: Open, tmp_path: Path) -> None:
    instance = opened(OURS)
    code = """
import sys
from concurrent.futures import ThreadPoolExecutor
from dagster import DagsterInstance
with DagsterInstance.from_config(sys.argv[1]) as instance, ThreadPoolExecutor(8) as pool:
    list(pool.map(lambda number: instance.add_dynamic_partitions("files", [f"other{number}"]), range(100)))
"""
    with subprocess.Popen([sys.executable, "-c", code, instance.root_directory]) as other:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: instance.add_dynamic_partitions("files", [f"own{number}"]), range(100)))
        assert other.wait(60) == 0
    assert len(instance.get_dynamic_partitions("files")) == 200


def test_a_file_that_was_made_anew_is_not_written_through_an_old_connection(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    for _ in range(2):
        with transaction(path) as connection:
            connection.exec_driver_sql("CREATE TABLE things (name TEXT)")
        path.unlink()
        for beside in tmp_path.iterdir():
            beside.unlink()


def test_what_raises_is_rolled_back(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    with transaction(path) as connection:
        connection.exec_driver_sql("CREATE TABLE things (name TEXT)")

    def fail() -> None:
        with transaction(path) as connection:
            connection.exec_driver_sql("INSERT INTO things VALUES ('one')")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with transaction(path) as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM things").scalar() == 0


def test_no_connection_crosses_a_fork(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    with transaction(path) as connection:
        connection.exec_driver_sql("CREATE TABLE things (name TEXT)")
    assert _open_below(tmp_path)
    pid = os.fork()
    if pid == 0:
        os._exit(1 if _open_below(tmp_path) else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    with transaction(path) as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM things").scalar() == 0


def test_what_a_process_keeps_open_is_bounded(tmp_path: Path) -> None:
    for number in range(MOST_KEPT + 20):
        with transaction(tmp_path / f"{number}.db") as connection:
            connection.exec_driver_sql("CREATE TABLE things (name TEXT)")
    assert 0 < len({path.name for path in _open_below(tmp_path) if path.suffix == ".db"}) <= MOST_KEPT


def test_dispose_writes_the_logs_back(opened: Open, tmp_path: Path) -> None:
    instance = opened(OURS)
    makes.execute_in_process(instance=instance)
    assert list((tmp_path / "storage").rglob("*-wal"))
    instance.dispose()
    assert list((tmp_path / "storage").rglob("*-wal")) == []
    assert _open_below(tmp_path) == []


def test_each_thread_has_a_connection_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    seen = []
    both = threading.Barrier(2)

    def use() -> None:
        with transaction(path) as connection:
            seen.append(id(connection.connection.dbapi_connection))
            both.wait(10)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: use(), range(2)))
    assert len(set(seen)) == 2


def _open_below(folder: Path) -> list[Path]:
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = descriptor.readlink()
        except FileNotFoundError:
            continue
        if folder in target.parents:
            found.append(target)
    return found
