"""A conductor that dies at any statement, or two of them at once, leave the same result as one that lives."""

import random
import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, event, select
from sqlalchemy.orm import Session

from millrace.conductor import happenings as h
from millrace.conductor.service import Conductor
from millrace.contracts.errors import Conflict
from millrace.contracts.task import Answers
from millrace.warehouse.schema import Consumed, History, Outbox, Pipeline, StageAttempt

ADA = "user:ada"
ANSWERS = Answers(target="approved", task_type="classification", positive="yes", sensitive=("sex",))


REPORT = re.compile(r"[bx]r-[0-9a-f]{20}")
"""Report ids are new each time."""


class Killed(BaseException):
    """The process is gone: nothing after this statement happens."""


class Killer:
    """Kills at the n-th statement from when it was armed; a commit counts twice, before and after it is made."""

    def __init__(self, engine: Engine) -> None:
        self.left = 0
        self.deaths = 0
        event.listen(engine, "before_cursor_execute", self._tick)
        event.listen(engine, "commit", self._tick)
        event.listen(Session, "after_commit", self._tick)

    def _tick(self, *_: Any, **__: Any) -> None:
        self.left -= 1
        if self.left == 0:
            self.deaths += 1
            raise Killed

    def until_it_lives(self, step: Callable[[], Any], *, first: int, stride: int) -> None:
        """Does the step again and again, killed each time at a later statement, until it is done."""
        number = first
        while True:
            self.left = number
            try:
                step()
            except Killed:
                number += stride
            else:
                self.left = 0
                return


@pytest.fixture
def killer() -> Iterator[Callable[[Engine], Killer]]:
    made: list[Killer] = []

    def make(engine: Engine) -> Killer:
        made.append(Killer(engine))
        return made[-1]

    yield make
    for one in made:
        event.remove(Session, "after_commit", one._tick)


def facts(bench, pipeline: str) -> dict[str, Any]:
    """What must be the same whatever happened on the way; times are left out."""
    with bench.warehouse.read() as session:
        row = session.get_one(Pipeline, pipeline)
        return {
            "state": (row.state, row.stage, row.revision, row.answers, row.approvals, row.ending_runs),
            "history": [
                (one.seq, one.from_state, one.to_state, one.stage, one.actor, REPORT.sub("report", one.cause))
                for one in session.scalars(select(History).where(History.pipeline_id == pipeline).order_by(History.seq))
            ],
            "attempts": sorted(
                (one.stage, one.level, one.attempt, one.state, one.trigger_event_id)
                for one in session.scalars(select(StageAttempt).where(StageAttempt.pipeline_id == pipeline))
            ),
            "sent": sorted(
                (one.topic, one.event_id)
                for one in session.scalars(select(Outbox).where(Outbox.topic.in_(bench.settings.topics.triggers())))
            ),
            "consumed": len(session.scalars(select(Consumed.event_id)).all()),
        }


Step = tuple[Callable[[], Any] | None, Callable[[], Any]]


def steps(bench) -> list[Step]:
    """Every kind of transition once: the worker's part, if any, which is not killed, and the conductor's, which is."""
    conductor = bench.conductor
    pipeline: list[str] = []

    def upload() -> None:
        bench.deliver()
        with bench.warehouse.read() as session:
            pipeline[:] = [session.scalars(select(Pipeline.id)).one()]

    def retry() -> None:
        # a person who sees that it worked does not ask again
        try:
            conductor.retry(pipeline[0], actor=ADA)
        except Conflict:
            assert bench.state(pipeline[0])[0] == "queued"

    def advance(happening: h.Happening) -> Callable[[], Any]:
        return lambda: conductor.advance(pipeline[0], happening, cause=f"clock:{type(happening).__name__}")

    return [
        (bench.store, upload),
        (None, lambda: conductor.answer(pipeline[0], ANSWERS, actor=ADA)),
        (lambda: bench.fail(pipeline[0], "bias"), bench.deliver),
        (None, advance(h.RetryDue(datetime.max.replace(tzinfo=UTC)))),
        (lambda: bench.work(pipeline[0], "bias"), bench.deliver),
        (None, lambda: conductor.approve(pipeline[0], stage="automl", actor=ADA)),
        (lambda: bench.fail(pipeline[0], "automl", transient=False), bench.deliver),
        (None, retry),
        (lambda: bench.work(pipeline[0], "automl"), bench.deliver),
        (None, lambda: conductor.approve(pipeline[0], stage="xai", actor=ADA)),
        (lambda: bench.work(pipeline[0], "xai", "expert"), bench.deliver),
        (None, lambda: conductor.cancel(pipeline[0], actor=ADA)),
        (None, bench.deliver),
        (None, advance(h.RunsEnded(("run-1",)))),
    ]


def only_pipeline(bench) -> str:
    with bench.warehouse.read() as session:
        return session.scalars(select(Pipeline.id)).one()


@pytest.mark.parametrize("first", [1, 2, 3])
def test_killed_at_every_statement_of_every_transition_the_result_is_the_same(make_bench, killer, first: int):
    undisturbed = make_bench()
    for prepare, step in steps(undisturbed):
        if prepare is not None:
            prepare()
        step()
    bench = make_bench()
    kill = killer(bench.warehouse.engine)
    for prepare, step in steps(bench):
        if prepare is not None:
            prepare()
        # three courses share the statements between them, so that together they die at each
        kill.until_it_lives(step, first=first, stride=3)
    assert facts(bench, only_pipeline(bench)) == facts(undisturbed, only_pipeline(undisturbed))
    assert kill.deaths > 50


@pytest.mark.parametrize("seed", range(3))
def test_two_conductors_at_once_on_events_that_come_shuffled_and_twice_end_alike(bench, seed: int):
    pipeline = bench.upload()
    bench.conductor.answer(pipeline, ANSWERS, settings={"approvals": []}, actor=ADA)
    twins = [Conductor(bench.warehouse, bench.settings) for _ in range(2)]
    chance = random.Random(seed)
    for stage, levels in (("bias", [None]), ("automl", [None]), ("xai", ["beginner", "intermediate", "expert"])):
        for level in levels:
            bench.work(pipeline, stage, level)
        records = bench.records()
        errors: list[BaseException] = []

        def act(conductor: Conductor, mine: list[Any], errors: list[BaseException] = errors) -> None:
            try:
                for record in mine:
                    conductor.on_event(record)
            except BaseException as error:  # noqa: BLE001 - a thread's error must reach the test
                errors.append(error)

        threads = [threading.Thread(target=act, args=(twin, chance.sample(records, len(records)))) for twin in twins]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
    assert bench.state(pipeline) == ("completed", None)
    history = bench.history(pipeline)
    assert [one.seq for one in history] == list(range(1, len(history) + 1))
    assert len(bench.triggers()) == 5
    assert [one.attempt for one in bench.attempts(pipeline)] == [1] * 5


def test_two_people_who_answer_at_once_are_one_answer_and_one_conflict(bench):
    pipeline = bench.upload()
    answers = [ANSWERS, ANSWERS.model_copy(update={"sensitive": ()})]
    results: list[str] = []

    def answer(given: Answers) -> None:
        try:
            bench.conductor.answer(pipeline, given, actor=ADA)
            results.append("taken")
        except Conflict:
            results.append("refused")

    threads = [threading.Thread(target=answer, args=(one,)) for one in answers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["refused", "taken"]
    assert len(bench.triggers()) == 1
