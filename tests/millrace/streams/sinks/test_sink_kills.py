"""The process of the sinks killed with kill -9: every event is in the CSV file and in the Parquet parts once."""

import json
import os
import random
import select
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


@pytest.fixture(scope="module")
def children(tmp_path_factory):
    """`children({…})` gives how a process that ran the sinks ended, and the steps that it told."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        # a process with threads cannot be forked: those of numpy, and that of pyarrow's memory
        "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false",
    }  # fmt: skip
    log = tmp_path_factory.mktemp("sinks") / "log"
    with (
        log.open("w") as trouble,
        subprocess.Popen(
            [sys.executable, CHILD], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=trouble,
            env=environment, start_new_session=True,
        ) as loaded,
    ):  # fmt: skip

        def run(told):
            loaded.stdin.write(json.dumps(told) + "\n")
            loaded.stdin.flush()
            assert select.select([loaded.stdout], [], [], 60)[0], f"not ended within 60 s: {log.read_text()}"
            found = json.loads(loaded.stdout.readline())
            return found | {"trouble": log.read_text()}

        try:
            yield run
        finally:
            os.killpg(loaded.pid, signal.SIGKILL)


@pytest.fixture
def ended(children, live, tmp_path):
    """`ended(-signal.SIGKILL, step=…)` runs both sinks in a process of their own, and gives the steps that it told."""

    def run(status, **told):
        told |= {"home": str(live.home), "port": live.kafka_port, "topic": live.scored_topic, "folder": str(tmp_path)}
        found = children(told)
        assert found["status"] == status, found["trouble"]
        return found["steps"]

    return run


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_loses_and_doubles_nothing(put, scored, ended, check_once, tmp_path, step):
    put(*(scored(n) for n in range(900)))
    ended(-signal.SIGKILL, step=step, time=2 if step.startswith(("csv", "parquet")) else 1)
    ended(0)
    check_once(tmp_path, 900)


@pytest.mark.slow
def test_twenty_kills_at_random_moments_of_the_work_lose_and_double_nothing(put, scored, ended, check_once, tmp_path):
    draw, sent, met = random.Random(SEED), 0, set()
    for _ in range(20):
        put(*(scored(n) for n in range(sent, sent + 200)))
        sent += 200
        met.add(ended(-signal.SIGKILL, kill_after=draw.uniform(0.0, 0.2))[-1])
    assert len(met) > 1, f"every kill met the same step: {met}"
    ended(0)
    check_once(tmp_path, sent)
