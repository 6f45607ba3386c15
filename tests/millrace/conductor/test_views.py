"""What pages and the command line are shown."""

from datetime import UTC, datetime, timedelta

import pytest

from millrace.conductor.timing import time_spent
from millrace.conductor.views import history_view, list_views, pipeline_view
from millrace.contracts.errors import NotFound
from millrace.contracts.identifiers import DatasetKey
from millrace.warehouse.schema import History, StageAttempt

ADA = "user:ada"
AT = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_pipeline_that_waits_says_for_what_why_and_how_to_go_on(bench):
    pipeline = bench.upload()
    with bench.warehouse.read() as session:
        view = pipeline_view(session, pipeline)
    assert (view.state_text, view.terminal, view.possible) == ("waiting for answers", False, ("answer", "cancel"))
    assert view.waiting_for is not None
    assert (view.waiting_for.what, view.waiting_for.command) == ("answers", f"millrace pipeline answer {pipeline}")
    assert "confirm" in view.waiting_for.why
    assert (view.rows, view.columns, view.name, view.file_name) == (40, 4, "Loans", "loans.csv")
    bench.conductor.answer(pipeline, None, actor=ADA)
    bench.work(pipeline, "bias")
    bench.deliver()
    with bench.warehouse.read() as session:
        view = pipeline_view(session, pipeline)
    assert view.state_text == "waiting for approval of the model"
    assert view.waiting_for is not None
    bench.conductor.approve(pipeline, seen_sha256=view.waiting_for.seen_sha256, actor=ADA)
    assert bench.pipeline(pipeline).approvals == {"automl": view.waiting_for.seen_sha256}


def test_a_completed_pipeline_shows_its_reports_its_model_and_where_the_time_went(bench):
    pipeline = bench.upload()
    bench.complete(pipeline)
    with bench.warehouse.read() as session:
        view = pipeline_view(session, pipeline)
        history = history_view(session, pipeline)
    assert [(one.kind, one.level) for one in view.reports if one.level] == [
        ("xai", "beginner"),
        ("xai", "intermediate"),
        ("xai", "expert"),
    ]
    assert view.model is not None
    assert (view.model.model_id, view.model.version) == ("loans", "v1")
    assert (view.waiting_for, view.terminal, view.possible) == (None, True, ())
    assert set(view.seconds.stages) == {"bias", "automl", "xai"}
    parts = sum(view.seconds.stages.values()) + view.seconds.waiting + view.seconds.overhead
    assert parts == pytest.approx(view.seconds.total, abs=0.01)
    assert [one.seq for one in history] == list(range(1, view.revision + 1))
    with bench.warehouse.read() as session:
        assert [one.seq for one in history_view(session, pipeline, after=3)] == list(range(4, view.revision + 1))
        assert history_view(session, "pl-none") == []
    assert type(view).model_validate_json(view.model_dump_json()) == view


def test_lists_are_narrowed_by_owner_state_and_version_the_newest_first(bench):
    first, second = bench.upload(), bench.upload(2)
    other = bench.upload(key=DatasetKey("bob", "loans"))
    with bench.warehouse.read() as session:
        assert [one.id for one in list_views(session)] == [other, second, first]
        assert [one.id for one in list_views(session, "ada")] == [second, first]
        assert [one.id for one in list_views(session, "ada", state="superseded")] == [first]
        assert [one.id for one in list_views(session, version=2)] == [second]
        assert [one.id for one in list_views(session, limit=1)] == [other]
        assert list_views(session, "eve") == []
        assert pipeline_view(session, first, user_id="ada").superseded_by == second
        with pytest.raises(NotFound):
            pipeline_view(session, first, user_id="bob")
        with pytest.raises(NotFound):
            pipeline_view(session, "pl-none")


def entry(seconds: float, state: str, stage: str | None = None) -> History:
    return History(at=AT + timedelta(seconds=seconds), to_state=state, stage=stage)


def attempt(stage: str, start: float, end: float | None, level: str = "") -> StageAttempt:
    return StageAttempt(
        stage=stage,
        level=level,
        claimed_at=AT + timedelta(seconds=start),
        finished_at=None if end is None else AT + timedelta(seconds=end),
    )


def test_time_is_split_into_stages_waiting_and_overhead():
    history = [
        entry(1, "waiting_for_answers"),
        entry(11, "queued", "bias"),
        entry(13, "running", "bias"),
        entry(15, "queued", "xai"),
        entry(30, "completed"),
    ]
    attempts = [attempt("bias", 12, 14), attempt("xai", 20, 25, "beginner"), attempt("xai", 22, 28, "expert")]
    seconds = time_spent(AT, attempts, history, moment=AT + timedelta(days=1))
    assert (seconds.total, seconds.stages, seconds.waiting) == (30, {"bias": 2, "xai": 8}, 10)
    assert seconds.overhead == 30 - 2 - 8 - 10


def test_a_stage_that_goes_on_counts_to_the_present_and_the_end_of_runs_prolongs_nothing():
    moment = AT + timedelta(seconds=20)
    going = time_spent(AT, [attempt("bias", 5, None)], [entry(0, "running", "bias")], moment=moment)
    assert (going.total, going.stages) == (20, {"bias": 15})
    ended = [entry(0, "queued", "bias"), entry(8, "cancelled", "bias"), entry(13, "cancelled", "bias")]
    over = time_spent(AT, [attempt("bias", 5, 8)], ended, moment=moment)
    assert (over.total, over.stages, over.overhead) == (8, {"bias": 3}, 5)
