import threading
import time

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from millrace.contracts.errors import CannotReach
from millrace.contracts.events import BiasTrigger
from millrace.settings import Settings
from millrace.warehouse.outbox import enqueue
from millrace.warehouse.schema import Outbox
from millrace.warehouse.store import Warehouse, open_warehouse


def _trigger() -> BiasTrigger:
    return BiasTrigger.write(
        user_id="ada", dataset_id="loans", target_column_name="y", task_type="regression", record_count=2
    )


def _count(warehouse: Warehouse) -> int:
    with warehouse.read() as session:
        return session.scalar(select(func.count()).select_from(Outbox)) or 0


def test_a_transaction_is_all_or_nothing(warehouse: Warehouse) -> None:
    def broken() -> None:
        with warehouse.transaction() as session:
            enqueue(session, warehouse.topics, _trigger())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert _count(warehouse) == 0

    with warehouse.transaction() as session:
        enqueue(session, warehouse.topics, _trigger())
    assert _count(warehouse) == 1


def test_a_write_in_a_read_fails(warehouse: Warehouse) -> None:
    with pytest.raises(Exception, match=r"(?i)read.?only"), warehouse.read() as session:
        enqueue(session, warehouse.topics, _trigger())
    assert _count(warehouse) == 0
    # the connection goes back to the pool and can write again
    with warehouse.transaction() as session:
        enqueue(session, warehouse.topics, _trigger())


def test_a_reader_sees_one_state_and_does_not_wait_for_the_writer(warehouse: Warehouse) -> None:
    with warehouse.transaction() as session:
        enqueue(session, warehouse.topics, _trigger())
        started = time.monotonic()
        assert _count(warehouse) == 0
        assert time.monotonic() - started < 5


def test_write_transactions_come_one_after_the_other_and_ids_in_the_order_of_commits(warehouse: Warehouse) -> None:
    at_work, most, order = 0, 0, []

    def write(number: int) -> None:
        nonlocal at_work, most
        with warehouse.transaction() as session:
            at_work += 1
            most = max(most, at_work)
            event_id = enqueue(session, warehouse.topics, _trigger(), event_id=f"e{number}")
            time.sleep(0.01)
            order.append(event_id)
            at_work -= 1

    threads = [threading.Thread(target=write, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with warehouse.read() as session:
        stored = list(session.scalars(select(Outbox.event_id).order_by(Outbox.id)))
    assert most == 1
    assert stored == order


def test_a_duplicate_event_id_is_refused(warehouse: Warehouse) -> None:
    with warehouse.transaction() as session:
        enqueue(session, warehouse.topics, _trigger(), event_id="same")
    with pytest.raises(IntegrityError), warehouse.transaction() as session:
        enqueue(session, warehouse.topics, _trigger(), event_id="same")


def test_a_database_that_is_away_cannot_be_reached(make_settings, tmp_path) -> None:
    settings = make_settings(tmp_path, MILLRACE_DATABASE_URL="postgresql+psycopg://nobody@127.0.0.1:1/none")

    with pytest.raises(CannotReach, match="does not answer"):
        open_warehouse(settings, migrate=True)


def test_sqlite_is_durable_and_lets_readers_and_the_writer_be(light_warehouse: Warehouse) -> None:
    with light_warehouse.read() as session:
        assert session.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert session.execute(text("PRAGMA synchronous")).scalar() == 2
        assert session.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert session.execute(text("PRAGMA busy_timeout")).scalar() == 30_000


def test_the_code_version_is_recorded_as_set(make_settings, tmp_path, light_settings: Settings) -> None:
    from millrace import __version__

    assert open_warehouse(light_settings).code_version == __version__
    assert open_warehouse(make_settings(tmp_path, MILLRACE_CODE_VERSION="abc")).code_version == "abc"
