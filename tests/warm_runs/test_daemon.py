"""The daemon that looks at its sensors more often, and at the queue when a run is queued."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from dagster import DagsterInstance
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._daemon import controller, sensor
from dagster._daemon.daemon import SpanMarker

from warm_runs import daemon


@pytest.fixture
def unchanged(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Dagster's modules, put back in the end."""
    monkeypatch.setattr(sensor, "MIN_INTERVAL_LOOP_TIME", 5)
    monkeypatch.setattr(controller, "QueuedRunCoordinatorDaemon", controller.QueuedRunCoordinatorDaemon)
    monkeypatch.setattr(QueuedRunCoordinator, "submit_run", QueuedRunCoordinator.submit_run)
    monkeypatch.setattr(sys, "argv", ["x", "run"])
    return monkeypatch


def test_it_is_dagsters_daemon_with_other_pauses(unchanged: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = []

    def look() -> None:
        (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        with DagsterInstance.from_config(str(tmp_path)) as instance:
            made = controller.create_daemon_of_type("QUEUED_RUN_COORDINATOR", instance)
        found.extend([sensor.MIN_INTERVAL_LOOP_TIME, type(made), QueuedRunCoordinator.submit_run])

    unchanged.setattr(daemon, "dagster_daemon", look)
    daemon.main()
    assert found == [daemon.LOOK_SECONDS, daemon.Dequeuer, daemon.submit_run]


def test_its_arguments_are_dagsters() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "warm_runs.daemon", "run", "--help"], capture_output=True, text=True, check=True
    )
    assert "--log-format" in told.stdout


def test_a_run_that_is_queued_in_the_process_is_looked_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "QUEUE_SECONDS", 60.0)
    monkeypatch.setattr(daemon, "_submit_run", lambda coordinator, context: context)
    looked: list[float] = []
    dequeuer = daemon.Dequeuer(interval_seconds=60)

    def look(context: object) -> list[None]:
        looked.append(time.monotonic())
        return []

    monkeypatch.setattr(dequeuer, "run_iteration", look)

    def loop() -> None:
        ends = 0
        for told in dequeuer.core_loop(None, threading.Event()):
            ends += told is SpanMarker.END_SPAN
            if ends == 2:
                return

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    time.sleep(0.5)
    assert len(looked) == 1
    queued = time.monotonic()
    daemon.submit_run(QueuedRunCoordinator(), "a run")
    thread.join(30)
    assert len(looked) == 2
    assert looked[1] >= queued


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (sensor, "MIN_INTERVAL_LOOP_TIME"),
        (controller, "QueuedRunCoordinatorDaemon"),
        (QueuedRunCoordinator, "submit_run"),
    ],
)
def test_a_release_that_keeps_one_elsewhere_is_refused(unchanged: pytest.MonkeyPatch, owner: object, name: str) -> None:
    unchanged.delattr(owner, name)
    with pytest.raises(RuntimeError, match=name):
        daemon.main()
