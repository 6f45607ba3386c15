"""WarmPostgresStorage is Dagster's PostgreSQL storage: the same tables, read and written by either."""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from dagster import (
    AssetCheckResult,
    DagsterInstance,
    DagsterRunStatus,
    Definitions,
    MaterializeResult,
    asset,
    asset_check,
)
from dagster._serdes import serialize_value
from sqlalchemy import Connection, Engine, event

from warm_runs.ledger import Entry, Ledger
from warm_runs.origins import code_origin
from warm_runs.postgres_engine import MOST_KEPT, engine_for
from warm_runs.preloaded import Preloaded
from warm_runs.rehearsal import _origin, rehearsed

pytestmark = pytest.mark.postgres

OURS = "storage: {custom: {module: warm_runs.postgres, class: WarmPostgresStorage, config: {postgres_url: %s}}}\n"
DAGSTERS = "storage: {postgres: {postgres_url: %s}}\n"
Open = Callable[[str], DagsterInstance]


@asset
def thing() -> MaterializeResult:
    return MaterializeResult(metadata={"size": 1})


@asset_check(asset=thing)
def is_small() -> AssetCheckResult:
    return AssetCheckResult(passed=True)


makes = Definitions(assets=[thing], asset_checks=[is_small]).resolve_implicit_global_asset_job_def()


@pytest.fixture
def url(postgres_database: str) -> str:
    return postgres_database.replace("+psycopg:", "+psycopg2:")


@pytest.fixture
def opened(open_instance: Open, url: str) -> Open:
    return lambda storage: open_instance(storage % url)


@pytest.mark.parametrize(("writes", "reads"), [(OURS, DAGSTERS), (DAGSTERS, OURS)])
def test_what_one_writes_the_other_reads_and_goes_on_with(
    opened: Open, check_that_it_goes_on: Callable[..., None], writes: str, reads: str
) -> None:
    check_that_it_goes_on(opened(writes), opened(reads), makes)


def test_a_new_database_has_the_tables_that_dagster_makes(opened: Open, url: str, postgres_url: str) -> None:
    opened(OURS)
    ours = _shape(url)
    _execute(url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    opened(DAGSTERS)
    assert ours == _shape(url)
    assert len(ours) > 100


def test_a_run_opens_no_connection_and_asks_for_no_table_twice(opened: Open) -> None:
    counts = {}
    for text in (DAGSTERS, OURS):
        makes.execute_in_process(instance=opened(text))
        seen = {"connections": 0, "catalogue": 0}

        def connected(*_: Any, seen: dict[str, int] = seen) -> None:
            seen["connections"] += 1

        def asked(_: Any, __: Any, statement: str, *more: Any, seen: dict[str, int] = seen) -> None:
            seen["catalogue"] += "pg_catalog" in statement

        event.listen(Engine, "do_connect", connected)
        event.listen(Engine, "before_cursor_execute", asked)
        try:
            makes.execute_in_process(instance=opened(text))
        finally:
            event.remove(Engine, "do_connect", connected)
            event.remove(Engine, "before_cursor_execute", asked)
        counts[text] = seen
    # the first number is another release's to change
    assert counts[DAGSTERS]["connections"] > 30
    assert counts[DAGSTERS]["catalogue"] > 5
    assert counts[OURS] == {"connections": 0, "catalogue": 0}


def test_connections_that_the_server_has_ended_are_replaced(opened: Open, url: str) -> None:
    instance = opened(OURS)
    with ThreadPoolExecutor(3) as pool:
        both = threading.Barrier(3)
        list(pool.map(lambda _: _hold(url, both), range(3)))
    assert len(_backends(url, lambda found: len(found) == 3)) == 3
    # with a time: comes back when they have ended
    _execute(url, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() "
             "AND pid <> pg_backend_pid()")  # fmt: skip
    ended = set(_backends(url))
    run_id = makes.execute_in_process(instance=instance).run_id
    assert instance.get_run_by_id(run_id).status == DagsterRunStatus.SUCCESS
    assert set(_backends(url)) - ended


def test_many_threads_are_served_at_once_and_few_connections_are_kept(opened: Open, url: str) -> None:
    instance = opened(OURS)
    at_once = threading.Barrier(MOST_KEPT + 4)
    with ThreadPoolExecutor(MOST_KEPT + 4) as pool:
        assert len(set(pool.map(lambda _: _hold(url, at_once), range(MOST_KEPT + 4)))) == MOST_KEPT + 4
        list(pool.map(lambda number: instance.add_dynamic_partitions("files", [f"own{number}"]), range(50)))
    assert len(instance.get_dynamic_partitions("files")) == 50
    assert 0 < len(_backends(url, lambda found: len(found) <= MOST_KEPT)) <= MOST_KEPT


def test_no_connection_crosses_a_fork(opened: Open, url: str) -> None:
    instance = opened(OURS)
    makes.execute_in_process(instance=instance)
    assert _backends(url)
    in_use, go_on = Future[int](), threading.Event()

    def use() -> int:
        with engine_for(url, None).connect() as connection:
            in_use.set_result(_pid(connection))
            go_on.wait(10)
            return _pid(connection)

    with ThreadPoolExecutor(1) as pool:
        used = pool.submit(use)
        parents = {in_use.result(10), *_backends(url)}
        pid = os.fork()
        if pid == 0:
            # the connection that the other thread uses is open here, and nobody's
            with engine_for(url, None).connect() as connection:
                own = _pid(connection)
            seen = instance.get_runs_count()
            os._exit(0 if own not in parents and seen == 1 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        # what nothing used was closed before the fork
        left = [in_use.result()]
        assert _backends(url, lambda found: found == left) == left
        go_on.set()
        assert used.result(10) == in_use.result()
    assert instance.get_runs_count() == 1


def test_a_run_is_forked_from_a_process_that_has_used_the_database(opened: Open, tmp_path: Path) -> None:
    instance = opened(OURS)
    run = instance.create_run_for_job(rehearsed, job_code_origin=_origin())
    entry = Entry(
        run_id=run.run_id, state="pending", lane="", origin=serialize_value(_origin()),
        instance=serialize_value(instance.get_ref()),
    )  # fmt: skip
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.add(entry)
    ended = threading.Event()
    statuses = []

    def exited(pid: int, status: int) -> None:
        statuses.append(status)
        ended.set()

    preloaded = Preloaded(code_origin(entry.origin, entry.instance), exited)
    try:
        assert preloaded.error is None
        assert preloaded.threads == 1
        preloaded.fork(run.run_id, instance=entry.instance, ledger=ledger.path)
        assert ended.wait(60)
    finally:
        preloaded.retire()
    assert statuses == [0]
    assert instance.get_run_by_id(run.run_id).status == DagsterRunStatus.SUCCESS


def _hold(url: str, at_once: threading.Barrier) -> int:
    with engine_for(url, None).connect() as connection:
        at_once.wait(10)
        return _pid(connection)


def _pid(connection: Connection) -> int:
    return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())


def _execute(url: str, *statements: str) -> list[tuple[Any, ...]]:
    with psycopg2.connect(url.replace("+psycopg2:", ":")) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        rows = cursor.fetchall() if cursor.description else []
    connection.close()
    return rows


def _backends(url: str, settled: Callable[[list[int]], bool] = bool) -> list[int]:
    """The server's processes that serve the database, once they are as wanted, or as they are after ten seconds.

    The server ends a process some moments after its client has gone.
    """
    deadline = time.monotonic() + 10
    while True:
        rows = _execute(
            url,
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND backend_type = 'client backend'",
        )
        found = [int(pid) for (pid,) in rows]
        if settled(found) or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def _shape(url: str) -> list[tuple[Any, ...]]:
    return [
        *_execute(
            url,
            "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns "
            "WHERE table_schema = 'public' ORDER BY 1, 2",
        ),
        *_execute(url, "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"),
        *_execute(url, "SELECT version_num FROM alembic_version"),
        *_execute(url, "SELECT name FROM secondary_indexes ORDER BY 1"),
    ]
