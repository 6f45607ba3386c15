"""The platform on one machine: up, seen, hurt, mended, and down in the middle of a run, with nothing left."""

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from millrace.contracts.errors import BadInput
from millrace.examples.loans import write_csv
from millrace.kafka.topics import list_topics
from millrace.settings import Settings
from millrace.stack.doctor import examine
from millrace.stack.leftovers import living
from millrace.stack.programs import programs
from millrace.stack.up import start, status, stop

pytestmark = [pytest.mark.slow, pytest.mark.broker, pytest.mark.usefixtures("broker_parts"), pytest.mark.timeout(600)]

PROMISED_STOP_SECONDS = 20
IDLE_BYTES = 2_800_000_000


@pytest.fixture
def home(make_settings: Callable[..., Settings], tmp_path: Path):
    settings = make_settings(tmp_path, MILLRACE_POLICY="autopilot", MILLRACE_TIME_BUDGET=300)
    yield settings
    stop(settings)


def _by_name(settings: Settings):
    return {one.name: one for one in status(settings)}


def _running_pipeline(settings: Settings, stage: str, *, seconds: float = 180) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for one in httpx.get(
            f"{settings.api_url}/pipelines", params={"user_id": "ann"}, timeout=10, verify=False
        ).json():
            if (one["state"], one["stage"]) == ("running", stage):
                return str(one["id"])
            assert one["state"] not in ("failed", "cancelled"), one
        time.sleep(0.2)
    pytest.fail(f"no pipeline was running {stage} within {seconds} s")


def _attempt(settings: Settings, pipeline: str, stage: str):
    """The first attempt of the stage."""
    attempts = httpx.get(f"{settings.api_url}/pipelines/{pipeline}", timeout=10).json()["attempts"]
    return next(one for one in attempts if (one["stage"], one["attempt"]) == (stage, 1))


def test_up_seen_hurt_mended_and_down_in_the_middle_of_a_run(home: Settings, tmp_path: Path, waits):
    # of a machine that was switched off
    (home.home / "run").mkdir(parents=True)
    (home.home / "run" / "supervisord.pid").write_text("999999\n")

    names = {one.name for one in programs(home, broker=[])}
    told: list[tuple[str, str]] = []
    first = start(home, progress=lambda name, what: told.append((name, what)))
    assert {one.name for one in first if one.running} == names
    assert {name for name, what in told if what == "ready"} == names
    assert sum(one.memory_bytes for one in first) < IDLE_BYTES
    assert set(home.topics.all()) <= {one.name for one in list_topics(home)}
    assert [one for one in examine(home) if one.level == "fail"] == []

    # up again changes nothing
    pids = {one.name: one.pid for one in first}
    assert {one.name: one.pid for one in start(home)} == pids

    for name in ("conductor", "code-server", "broker"):
        os.kill(_by_name(home)[name].pid, signal.SIGKILL)
    waits(
        lambda: all(one.running and one.pid != pids[name] for name, one in _by_name(home).items()
                    if name in ("conductor", "code-server", "broker")),
        "the killed programs", seconds=120,
    )  # fmt: skip
    mended = _by_name(home)
    assert {name: one.restarts for name, one in mended.items() if one.restarts} == {
        "conductor": 1, "code-server": 1, "broker": 1,
    }  # fmt: skip
    assert "SIGKILL" in mended["broker"].last_exit

    before = {one.pid for one in living(home.home)}
    file = tmp_path / "loans.csv"
    write_csv(file)
    with file.open("rb") as stream:
        form = {"user_id": "ann", "dataset_id": "loans", "name": "loans"}
        httpx.post(
            f"{home.api_url}/datasets/upload", data=form, files={"file": ("loans.csv", stream)}, timeout=60
        ).raise_for_status()
    pipeline = _running_pipeline(home, "automl")
    runs = [one for one in living(home.home) if one.pid not in before]
    assert runs, "the run is a process of its own"

    began = time.monotonic()
    assert stop(home) is True
    assert time.monotonic() - began < PROMISED_STOP_SECONDS
    assert living(home.home) == []
    assert not any(psutil.pid_exists(one.pid) for one in runs)
    assert status(home) == []

    # what happened to the run is told, not forgotten
    start(home)
    waits(
        lambda: _attempt(home, pipeline, "automl")["state"] == "failed",
        "the pipeline to learn of its run's end", seconds=120,
    )  # fmt: skip

    # a killed supervisor keeps nothing from being ended
    psutil.Process(int((home.home / "run" / "supervisord.pid").read_text())).kill()
    assert status(home) == []
    assert len(living(home.home)) >= len(names)
    stop(home)
    assert living(home.home) == []


def test_a_taken_port_starts_nothing(home: Settings):
    with socket.create_server(("127.0.0.1", home.conductor_port)), pytest.raises(BadInput) as caught:
        start(home)
    assert caught.value.field == "MILLRACE_CONDUCTOR_PORT"
    assert living(home.home) == []
