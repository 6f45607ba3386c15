"""What the ledger promises when several processes use it."""

import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from warm_runs.ledger import Entry, Ledger
from warm_runs.processes import ProcessId


def _entry(run_id: str) -> Entry:
    return Entry(run_id, "pending", "lane", "origin", "instance")


def test_only_one_process_claims_a_run(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.add(_entry("one"))
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda pid: Ledger(ledger.path).claim("one", ProcessId(pid, 1)), range(100, 116)))
    assert won.count(True) == 1
    entry = ledger.get("one")
    assert entry is not None
    assert entry.process == ProcessId(100 + won.index(True), 1)


LOOK = """
import sys
from pathlib import Path
from warm_runs.ledger import Ledger
print("looking", flush=True)
while True:
    Ledger(Path(sys.argv[1])).entries()
"""


def test_what_threads_add_is_there_while_another_process_looks(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Ledger(path)
    with subprocess.Popen([sys.executable, "-c", LOOK, str(path)], stdout=subprocess.PIPE) as looking:
        try:
            assert looking.stdout is not None
            assert looking.stdout.readline() == b"looking\n"
            lost = []

            def add(number: int) -> None:
                Ledger(path).add(_entry(str(number)))
                if Ledger(path).get(str(number)) is None:
                    lost.append(number)

            with ThreadPoolExecutor(8) as pool:
                list(pool.map(add, range(600)))
        finally:
            looking.kill()
    assert lost == []
    assert len(Ledger(path).entries()) == 600


def test_a_run_that_is_not_there_cannot_be_claimed(tmp_path: Path) -> None:
    assert not Ledger(tmp_path / "ledger.db").claim("none", ProcessId(1, 1))


def test_adding_again_changes_nothing_and_order_is_kept(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    for run_id in ("one", "two", "one"):
        ledger.add(_entry(run_id))
    assert ledger.claim("one", ProcessId(5, 6))
    ledger.add(_entry("one"))
    assert [(entry.run_id, entry.state) for entry in ledger.entries()] == [("one", "running"), ("two", "pending")]


def test_an_earlier_end_is_not_put_off(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.add(_entry("one"))
    ledger.end_by("one", 10.0)
    ledger.end_by("one", 20.0)
    entry = ledger.get("one")
    assert entry is not None
    assert entry.kill_at == 10.0
    ledger.remove("one")
    assert ledger.get("one") is None


def test_the_file_is_its_owners_only(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    assert stat.S_IMODE(ledger.path.stat().st_mode) == 0o600


def test_the_files_beside_it_are_its_owners_only_too(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    connection = sqlite3.connect(ledger.path)
    connection.execute("SELECT * FROM runs").fetchall()
    Ledger(ledger.path).add(_entry("one"))
    found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    connection.close()
    assert len(found) == 3
    assert set(found.values()) == {0o600}


def test_a_run_that_was_withdrawn_cannot_be_claimed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.add(_entry("one"))
    assert ledger.withdraw("one")
    assert not ledger.claim("one", ProcessId(5, 6))


def test_a_run_that_was_claimed_cannot_be_withdrawn(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.add(_entry("one"))
    assert ledger.claim("one", ProcessId(5, 6))
    assert not ledger.withdraw("one")
    assert ledger.get("one") is not None


def test_a_run_whose_end_was_asked_for_cannot_be_claimed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.add(_entry("one"))
    ledger.end_by("one", 10.0)
    assert not ledger.claim("one", ProcessId(5, 6))
