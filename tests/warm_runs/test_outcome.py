"""A run gets its final state however long the storage was away."""

import threading
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus, job
from dagster._serdes import serialize_value

from warm_runs.ledger import Entry
from warm_runs.outcome import Settler, settle
from warm_runs.processes import ProcessId


@job
def empty() -> None:
    """Nothing."""


@pytest.fixture
def instance(tmp_path: Path) -> DagsterInstance:
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return DagsterInstance.from_config(str(home))


def test_a_storage_that_is_away_is_waited_for(instance: DagsterInstance) -> None:
    with instance:
        run = instance.create_run_for_job(empty, status=DagsterRunStatus.STARTED)
        reference = serialize_value(instance.get_ref())
        history = Path(instance.root_directory) / "history"
        away = history.rename(history.with_name("away"))
        history.write_text("a file where the folder was")
        entry = Entry(run.run_id, "running", "", "", reference, ProcessId(4_000_000, 1))
        settling = threading.Thread(target=Settler().settle, args=(entry,), kwargs={"status": 9})
        settling.start()
        settling.join(0.3)
        assert settling.is_alive()
        history.unlink()
        away.rename(history)
        settling.join(20)
        assert not settling.is_alive()
        found = instance.get_run_by_id(run.run_id)
        assert found is not None
        assert found.status == DagsterRunStatus.FAILURE


def test_a_final_state_is_never_replaced(instance: DagsterInstance) -> None:
    with instance:
        for status in (DagsterRunStatus.SUCCESS, DagsterRunStatus.CANCELED, DagsterRunStatus.FAILURE):
            run = instance.create_run_for_job(empty, status=status)
            assert settle(instance, run.run_id, pid=1, status=9) is None
        assert settle(instance, "nobody's", pid=1, status=9) is None
