"""What a run leaves of its attempt, however it ends."""

import contextlib
from dataclasses import replace

import pytest
from dagster import DagsterExecutionInterruptedError
from sqlalchemy import update

from millrace.warehouse.reports import list_reports
from millrace.warehouse.schema import StageAttempt
from millrace.warehouse.stage_work import claim

# libraries of the stages warn about each other; their own tests hold them to silence
pytestmark = pytest.mark.filterwarnings("default")


def events(sent):
    return [event.get("event_type") for event in sent()]


def test_a_stage_that_ends_well_is_done_and_told(begin, launch, attempt, sent):
    request = begin()
    result = launch("bias_job", request)
    assert result.success
    row = attempt(request)
    assert (row.state, row.dagster_run_id) == ("done", result.run_id)
    assert row.trigger["offset"] == 7
    assert events(sent)[-2:] == ["stage.started", "bias.reported"]
    facts = result.get_asset_materialization_events()[-1].materialization.metadata
    assert facts["pipeline"].value == request.pipeline_id
    assert facts["approval"].value == f"pipeline:{request.pipeline_id}"
    assert facts["trigger"].value["topic_id"] == "T1"


def test_a_blocking_check_fails_the_stage_for_good(begin, launch, attempt, sent):
    request = begin(target="flat")
    result = launch("bias_job", request)
    assert not result.success
    assert attempt(request).state == "failed"
    told = sent()[-1]
    assert told["event_type"] == "stage.failed"
    assert told["error_class"] == "StageFailed"
    assert told["transient"] is False
    assert "target_varies" in told["error_message"]
    assert "To fix:" in told["error_message"]


def test_a_part_that_does_not_answer_is_a_transient_failure(begin, launch, warehouse, conductor, attempt, sent):
    request = replace(begin(), stage="automl")
    with warehouse.transaction() as session:
        session.execute(update(StageAttempt).values(stage="automl"))
    assert not launch("automl_job", request).success
    assert attempt(request).state == "failed"
    assert (sent()[-1]["error_class"], sent()[-1]["transient"]) == ("CannotReach", True)


def test_a_cancelled_attempt_does_no_work(begin, launch, conductor, attempt, warehouse, sent):
    request = begin()
    conductor.cancel(request.pipeline_id, actor="user:ada", reason="not wanted")
    before = events(sent)
    result = launch("bias_job", request)
    assert not result.success
    assert attempt(request).state == "cancelled"
    assert events(sent) == before
    with warehouse.read() as session:
        assert list_reports(session, "ada") == []


def test_a_second_run_of_the_same_trigger_leaves_the_first_one_its_attempt(begin, launch, warehouse, attempt):
    request = begin()
    claim(warehouse, replace(request, run_id="first"))
    assert not launch("bias_job", request).success
    row = attempt(request)
    assert (row.state, row.dagster_run_id) == ("claimed", "first")


def test_an_interrupt_passes_through_and_leaves_the_attempt_to_who_asked_for_it(
    begin, launch, attempt, sent, monkeypatch
):
    import millrace.quality.suite

    def interrupted(*_args, **_options):
        raise DagsterExecutionInterruptedError

    request = begin()
    monkeypatch.setattr(millrace.quality.suite, "assess", interrupted)
    with contextlib.suppress(DagsterExecutionInterruptedError):
        launch("bias_job", request)
    assert attempt(request).state == "claimed"
    assert "stage.failed" not in events(sent)


def test_an_unexpected_error_fails_the_attempt_with_its_class(begin, launch, attempt, sent, monkeypatch):
    import millrace.quality.suite

    def broken(*_args, **_options):
        raise ZeroDivisionError("by zero")

    request = begin()
    monkeypatch.setattr(millrace.quality.suite, "assess", broken)
    result = launch("bias_job", request)
    assert not result.success
    assert attempt(request).state == "failed"
    assert (sent()[-1]["error_class"], sent()[-1]["transient"]) == ("ZeroDivisionError", False)
