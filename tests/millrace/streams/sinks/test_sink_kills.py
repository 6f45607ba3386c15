"""The process of the sinks killed with kill -9: every event is in the CSV file and in the Parquet parts once."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.broker

CHILD = Path(__file__).with_name("sink_child.py")
SEED = 20_261_127
STEPS = (
    "csv.appended", "csv.recorded", "parquet.drafted", "parquet.renamed", "parquet.recorded",
    "compact.drafted", "compact.renamed", "compact.recorded",
)  # fmt: skip


@pytest.fixture
def start(live, tmp_path):
    """`start(step=…)` runs both sinks in a process of their own; whatever still lives in the end is killed."""
    running = []

    def begin(**told):
        told |= {"home": str(live.home), "port": live.kafka_port, "topic": live.scored_topic, "folder": str(tmp_path)}
        child = subprocess.Popen(
            [sys.executable, str(CHILD), json.dumps(told)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )  # fmt: skip
        running.append(child)
        return child

    yield begin
    for child in running:
        child.kill()
        child.communicate()


def ended(child, status, *, told=""):
    steps, trouble = child.communicate(told, timeout=60)
    assert child.returncode == status, trouble
    return steps.split()


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_loses_and_doubles_nothing(put, scored, start, check_once, tmp_path, step):
    put(*(scored(n) for n in range(900)))
    ended(start(step=step, time=2 if step.startswith(("csv", "parquet")) else 1), -signal.SIGKILL)
    ended(start(), 0)
    check_once(tmp_path, 900)


@pytest.mark.slow
def test_twenty_kills_at_random_moments_of_the_work_lose_and_double_nothing(put, scored, start, check_once, tmp_path):
    draw, sent, met = random.Random(SEED), 0, set()
    child = start(kill_after=draw.uniform(0.0, 0.2), held=True)
    for _ in range(20):
        put(*(scored(n) for n in range(sent, sent + 200)))
        sent += 200
        following = start(kill_after=draw.uniform(0.0, 0.2), held=True)
        met.add(ended(child, -signal.SIGKILL, told="go\n")[-1])
        child = following
    assert len(met) > 1, f"every kill met the same step: {met}"
    ended(start(), 0)
    check_once(tmp_path, sent)
