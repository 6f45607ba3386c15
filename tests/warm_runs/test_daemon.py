"""The daemon that looks at its sensors more often."""

import subprocess
import sys

import pytest
from dagster._daemon import sensor

from warm_runs import daemon


def test_it_is_dagsters_daemon_with_another_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[float] = []
    monkeypatch.setattr(sensor, "MIN_INTERVAL_LOOP_TIME", 5)
    monkeypatch.setattr(daemon, "dagster_daemon", lambda: found.append(sensor.MIN_INTERVAL_LOOP_TIME))
    monkeypatch.setattr(sys, "argv", ["x", "run"])
    daemon.main()
    assert found == [daemon.LOOK_SECONDS]
    told = subprocess.run(
        [sys.executable, "-m", "warm_runs.daemon", "run", "--help"], capture_output=True, text=True, check=True
    )
    assert "--log-format" in told.stdout


def test_a_release_that_keeps_the_pause_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sensor, "MIN_INTERVAL_LOOP_TIME")
    with pytest.raises(RuntimeError, match="MIN_INTERVAL_LOOP_TIME"):
        daemon.main()
