"""What the conductor does by the clock. Dagster's part is played by hand here; test_control has the real one."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from millrace.conductor.sweep import Sweep
from millrace.contracts.control import LiveRun
from millrace.contracts.errors import AttemptFenced, CannotReach
from millrace.contracts.events import now
from millrace.contracts.task import Answers
from millrace.warehouse.processes import is_gone, this_process
from millrace.warehouse.schema import StageAttempt

ADA = "user:ada"
ANSWERS = Answers(target="approved", task_type="classification", positive="yes")
ENDED = ("SUCCESS", "FAILURE", "CANCELED")


@dataclass
class HandRuns:
    """Runs as the test says they are."""

    by_id: dict[str, str] = field(default_factory=dict)
    events: dict[str, list[str]] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    marked: list[str] = field(default_factory=list)
    away: bool = False
    stubborn: bool = False

    def _ask(self) -> None:
        if self.away:
            raise CannotReach("Dagster is away")

    def live_runs(self, pipeline_id: str) -> Sequence[LiveRun]:
        self._ask()
        return [LiveRun(run, status) for run, status in self.by_id.items() if status not in ENDED]

    def of_event(self, event_id: str) -> Sequence[LiveRun]:
        self._ask()
        return [LiveRun(run, self.by_id[run]) for run in self.events.get(event_id, [])]

    def statuses(self, run_ids: Sequence[str]) -> Mapping[str, str]:
        self._ask()
        return {run: self.by_id[run] for run in run_ids if run in self.by_id}

    def terminate(self, run_ids: Sequence[str]) -> None:
        self._ask()
        self.told += run_ids
        self.by_id.update(dict.fromkeys(run_ids, "CANCELING" if self.stubborn else "CANCELED"))

    def mark_cancelled(self, run_ids: Sequence[str]) -> None:
        self.marked += run_ids
        self.by_id.update(dict.fromkeys(run_ids, "CANCELED"))


class Clock:
    def __init__(self) -> None:
        self.at = now()

    def __call__(self) -> datetime:
        return self.at

    def wait(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class Stand:
    bench: object
    runs: HandRuns
    clock: Clock
    sweep: Sweep

    def after(self, seconds: float) -> None:
        self.clock.wait(seconds)
        self.sweep.once()


@pytest.fixture
def stand(make_bench) -> Stand:
    bench, runs, clock = make_bench(), HandRuns(), Clock()
    return Stand(bench, runs, clock, Sweep(bench.conductor, bench.warehouse, runs, clock=clock))


def queued(bench) -> str:
    pipeline = bench.upload()
    bench.conductor.answer(pipeline, ANSWERS, settings={"approvals": []}, actor=ADA)
    return pipeline


def test_a_retry_is_sent_when_its_wait_is_over_and_not_before(stand):
    bench = stand.bench
    pipeline = queued(bench)
    bench.fail(pipeline, "bias")
    bench.deliver()
    stand.after(0)
    assert bench.state(pipeline)[0] == "retrying"
    stand.after(3)
    assert bench.state(pipeline) == ("queued", "bias")
    assert bench.history(pipeline)[-1].cause == "clock:retry"


def test_retries_are_sent_while_dagster_is_away_and_ends_wait_for_it(stand):
    bench, runs = stand.bench, stand.runs
    pipeline = queued(bench)
    bench.fail(pipeline, "bias")
    bench.deliver()
    runs.away = True
    stand.after(3)
    assert bench.state(pipeline)[0] == "queued"
    bench.conductor.cancel(pipeline, actor=ADA)
    stand.after(30)
    assert bench.pipeline(pipeline).ending_runs
    runs.away = False
    stand.after(1)
    assert not bench.pipeline(pipeline).ending_runs


def test_a_run_that_begins_after_the_cancel_is_found_and_ended(stand):
    bench, runs = stand.bench, stand.runs
    pipeline = queued(bench)
    bench.conductor.cancel(pipeline, actor=ADA)
    stand.after(0.5)
    assert bench.pipeline(pipeline).ending_runs
    runs.by_id["late"] = "STARTING"
    stand.after(1)
    assert runs.told == ["late"]
    stand.after(3)
    row = bench.pipeline(pipeline)
    assert (row.state, row.ending_runs) == ("cancelled", False)
    assert "late" in bench.history(pipeline)[-1].message


def test_a_run_that_begins_even_later_fences_itself(stand):
    bench = stand.bench
    pipeline = queued(bench)
    bench.conductor.cancel(pipeline, actor=ADA)
    stand.after(5)
    assert not bench.pipeline(pipeline).ending_runs
    with pytest.raises(AttemptFenced):
        bench.start(pipeline, "bias")


def test_a_run_that_does_not_end_is_told_again_but_not_while_it_is_ending(stand):
    bench, runs = stand.bench, stand.runs
    pipeline = queued(bench)
    runs.by_id["r"] = "STARTED"
    bench.conductor.cancel(pipeline, actor=ADA)
    stand.after(0)
    runs.by_id["r"] = "STARTED"
    stand.after(2)
    assert runs.told == ["r"]
    stand.after(2)
    assert runs.told == ["r", "r"]
    runs.by_id["r"] = "CANCELING"
    stand.after(60)
    assert runs.told == ["r", "r"]
    assert runs.marked == []
    assert bench.pipeline(pipeline).ending_runs


def claimed_by(bench, pipeline: str, process: dict[str, object]) -> str:
    """The bias attempt claimed as if by that process; gives the run's id."""
    run = bench.start(pipeline, "bias").request.run_id
    with bench.warehouse.transaction() as session:
        attempt = session.get_one(StageAttempt, bench.attempts(pipeline)[-1].id)
        assert is_gone(attempt.trigger["process"]) is False
        attempt.trigger = {**attempt.trigger, "process": process}
    bench.deliver()
    return run


@pytest.fixture
def dead_process() -> dict[str, object]:
    script = "import json; from millrace.warehouse.processes import this_process; print(json.dumps(this_process()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    import json

    return json.loads(done.stdout)


def test_a_run_is_recorded_as_cancelled_only_when_its_process_is_gone(stand, dead_process):
    bench, runs = stand.bench, stand.runs
    runs.stubborn = True
    alive = queued(bench)
    run = claimed_by(bench, alive, this_process())
    runs.by_id[run] = "STARTED"
    bench.conductor.cancel(alive, actor=ADA)
    for _ in range(12):
        stand.after(1)
    assert (runs.told, runs.marked) == ([run], [])
    with bench.warehouse.transaction() as session:
        attempt = session.get_one(StageAttempt, bench.attempts(alive)[-1].id)
        attempt.trigger = {"process": dead_process}
    stand.after(1)
    assert runs.marked == [run]
    stand.after(1)
    assert not bench.pipeline(alive).ending_runs


def test_an_attempt_whose_process_died_is_failed_after_a_while_and_tried_again(stand, dead_process):
    bench, runs = stand.bench, stand.runs
    pipeline = queued(bench)
    run = claimed_by(bench, pipeline, dead_process)
    runs.by_id[run] = "STARTED"
    stand.after(0)
    stand.after(6)
    bench.deliver()
    assert bench.state(pipeline) == ("running", "bias")
    stand.after(6)
    bench.deliver()
    row = bench.pipeline(pipeline)
    assert (row.state, row.error["error"]) == ("retrying", "ProcessDied")
    assert bench.attempts(pipeline)[0].state == "failed"


def test_an_attempt_whose_process_lives_or_is_elsewhere_is_left_alone(stand, dead_process):
    bench, runs = stand.bench, stand.runs
    pipeline = queued(bench)
    run = claimed_by(bench, pipeline, {**dead_process, "host": "elsewhere"})
    runs.by_id[run] = "STARTED"
    for _ in range(10):
        stand.after(6)
    bench.deliver()
    assert bench.state(pipeline) == ("running", "bias")


def test_a_pid_that_another_process_has_now_is_gone():
    mark = this_process()
    assert not is_gone(mark)
    assert is_gone({**mark, "started": mark["started"] - 60})


def test_a_claimed_attempt_whose_run_was_ended_in_dagster_waits_for_a_person(stand):
    bench, runs = stand.bench, stand.runs
    pipeline = queued(bench)
    runs.by_id[bench.start(pipeline, "bias").request.run_id] = "CANCELED"
    stand.after(0)
    bench.deliver()
    row = bench.pipeline(pipeline)
    assert (row.state, row.error["error"]) == ("failed", "RunEnded")


def test_a_trigger_whose_run_failed_before_it_claimed_is_tried_again(stand):
    bench, runs = stand.bench, stand.runs
    pipeline = queued(bench)
    event_id = bench.attempts(pipeline)[0].trigger_event_id
    runs.by_id["r"] = "FAILURE"
    runs.events[event_id] = ["r"]
    stand.after(0)
    assert bench.attempts(pipeline)[0].state == "requested"
    stand.after(31)
    bench.deliver()
    assert bench.state(pipeline)[0] == "retrying"
    assert bench.attempts(pipeline)[0].dagster_run_id == "r"


def test_a_trigger_that_an_outside_worker_is_to_take_is_never_lost(stand):
    bench = stand.bench
    pipeline = bench.upload()
    bench.conductor.answer(pipeline, ANSWERS, settings={"executors": {"bias": "external"}}, actor=ADA)
    stand.after(0)
    stand.after(10_000)
    assert bench.attempts(pipeline)[0].state == "requested"
