import subprocess
import sys
import threading

import psycopg
import pytest

from millrace.contracts.errors import CannotReach
from millrace.settings import Settings
from millrace.warehouse.engine import make_engine
from millrace.warehouse.leadership import leadership_of
from millrace.warehouse.relay import Relay
from millrace.warehouse.store import Warehouse


def test_one_holds_the_lock_and_gives_it_back(warehouse) -> None:
    first, second = leadership_of(warehouse.engine), leadership_of(warehouse.engine)
    assert first.acquire()
    assert first.acquire()
    assert not second.acquire()
    assert (first.holds(), second.holds()) == (True, False)
    first.release()
    assert second.acquire()
    assert not first.holds()
    second.release()


def test_the_lock_of_a_killed_process_is_free(settings: Settings, warehouse) -> None:
    code = (
        "import sys, time\n"
        "from millrace.warehouse.engine import make_engine\n"
        "from millrace.warehouse.leadership import leadership_of\n"
        "lock = leadership_of(make_engine(sys.argv[1]))\n"
        "print(lock.acquire(), flush=True)\n"
        "time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, settings.database], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "True\n"
    mine = leadership_of(warehouse.engine)
    assert not mine.acquire()

    holder.kill()
    holder.wait()
    holder.stdout.close()

    for _ in range(500):
        if mine.acquire():
            break
    assert mine.holds()
    mine.release()


@pytest.mark.postgres
def test_a_leader_whose_connection_broke_knows_it(postgres_url: str) -> None:
    lock = leadership_of(make_engine(postgres_url))
    assert lock.acquire()
    plain = postgres_url.replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(
            # of this database alone: tests beside this one have locks in others. With a time it waits for the end
            "SELECT pg_terminate_backend(l.pid, 10000) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
            " WHERE l.locktype = 'advisory' AND d.datname = current_database()"
        )

    assert not lock.holds()
    assert lock.acquire()
    lock.release()


def test_a_database_that_is_away_makes_no_leader() -> None:
    lock = leadership_of(make_engine("postgresql+psycopg://nobody@127.0.0.1:1/none"))
    with pytest.raises(CannotReach):
        lock.acquire()


@pytest.mark.broker
def test_a_relay_that_works_once_waits_for_a_leader_that_is_about_to_end(
    relayed: Warehouse, on_broker: Settings, write
) -> None:
    leader = leadership_of(relayed.engine)
    assert leader.acquire()
    ending = threading.Timer(0.5, leader.release)
    ending.start()
    write(relayed, 3)

    assert Relay(relayed, on_broker).relay_once(seconds=30) == 3
    ending.join()
