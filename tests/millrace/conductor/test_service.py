"""The conductor's operations on both databases, with the warehouse's own saves on the other side.

Above 300 lines because each request and each event is tried in every state.
"""

import json
from datetime import timedelta

import pytest

from millrace.conductor import happenings as h
from millrace.conductor.answers import GivenAnswers
from millrace.conductor.states import TERMINAL
from millrace.contracts import topics as headers
from millrace.contracts.errors import AttemptFenced, BadInput, Conflict, NotFound
from millrace.contracts.events import now
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.stages import LEVELS
from millrace.contracts.task import Answers

ADA = "user:ada"
ANSWERS = Answers(target="approved", task_type="classification", positive="yes", sensitive=("sex",))


def running(bench, stage: str = "bias") -> str:
    """A pipeline whose stage is claimed."""
    pipeline = bench.upload()
    bench.conductor.answer(pipeline, ANSWERS, settings={"approvals": []}, actor=ADA)
    for before in ("bias", "automl", "xai")[: ("bias", "automl", "xai").index(stage)]:
        bench.work(pipeline, before)
        bench.deliver()
    bench.start(pipeline, stage, "beginner" if stage == "xai" else None)
    bench.deliver()
    assert bench.state(pipeline) == ("running", stage)
    return pipeline


def test_an_upload_becomes_reports_with_a_person_in_the_loop(bench):
    pipeline = bench.upload()
    assert bench.state(pipeline) == ("waiting_for_answers", None)
    bench.conductor.answer(pipeline, None, actor=ADA)
    assert bench.state(pipeline) == ("queued", "bias")
    bench.work(pipeline, "bias")
    bench.deliver()
    assert bench.state(pipeline) == ("waiting_for_approval", "automl")
    bench.conductor.approve(pipeline, actor=ADA, note="looks fair")
    bench.work(pipeline, "automl")
    bench.deliver()
    assert bench.state(pipeline) == ("waiting_for_approval", "xai")
    bench.conductor.approve(pipeline, stage="xai", actor=ADA)
    for level in LEVELS:
        bench.work(pipeline, "xai", level)
    bench.deliver()
    assert bench.state(pipeline) == ("completed", None)
    row, history = bench.pipeline(pipeline), bench.history(pipeline)
    assert row.answers == ANSWERS.model_dump(mode="json")
    assert [one.seq for one in history] == list(range(1, row.revision + 1))
    assert [one.from_state for one in history] == [None, *[one.to_state for one in history[:-1]]]
    assert {one.actor for one in history} == {ADA, "conductor"}
    assert next(one for one in history if "looks fair" in one.message).seen_sha256 == row.approvals["automl"]


def test_triggers_carry_the_payloads_of_the_contract_and_the_headers_of_ours(bench):
    pipeline = bench.upload()
    bench.conductor.answer(pipeline, ANSWERS, settings={"time_budget": 10, "executors": {"xai": "external"}}, actor=ADA)
    bench.complete(pipeline)
    triggers = bench.triggers()
    bias, automl, *xai = [json.loads(one.value) for one in triggers]
    assert bias["metadata"]["version"] == 1
    assert {name: bias[name] for name in ("event_type", "target_column_name", "task_type", "record_count")} == {
        "event_type": "bias-trigger.reported",
        "target_column_name": "approved",
        "task_type": "classification",
        "record_count": 40,
    }
    assert automl["time_budget"] == "10"
    assert [(one["model_id"], one["version"], one["level"]) for one in xai] == [("loans", "v1", one) for one in LEVELS]
    attempts = {one.trigger_event_id: one for one in bench.attempts(pipeline)}
    for one in triggers:
        assert one.headers[headers.PIPELINE] == pipeline
        assert one.headers[headers.ATTEMPT] == str(attempts[one.event_id].attempt)
        assert one.headers[headers.TRACE_PARENT].split("-")[1] == bench.pipeline(pipeline).trace_id
        assert one.headers.get(headers.EXECUTOR) == ("external" if attempts[one.event_id].stage == "xai" else None)
        assert one.key == "ada.loans"


def test_events_that_come_twice_change_nothing(bench):
    pipeline = bench.upload()
    bench.complete(pipeline)
    before = (bench.pipeline(pipeline).revision, len(bench.attempts(pipeline)), len(bench.triggers()))
    for record in bench.records():
        assert bench.conductor.on_event(record) == "duplicate"
    assert (bench.pipeline(pipeline).revision, len(bench.attempts(pipeline)), len(bench.triggers())) == before


def test_a_model_that_is_seen_before_its_start_is_taken_and_the_late_start_ignored(bench):
    pipeline = running(bench, "automl")
    known = len(bench.records())
    bench.save(bench.start(pipeline, "automl"))
    bench.conductor.on_event(bench.records()[known])
    assert bench.state(pipeline) == ("queued", "xai")
    third = bench.upload(1, key=DatasetKey("ada", "other"))
    bench.conductor.answer(third, ANSWERS, settings={"approvals": []}, actor=ADA)
    bench.work(third, "bias")
    started, reported = bench.records()[-2:]
    assert bench.conductor.on_event(reported) == "acted"
    assert bench.conductor.on_event(started) == "ignored"
    assert bench.state(third) == ("queued", "automl")


def test_cancel_before_the_run_exists_lets_it_save_nothing(bench):
    pipeline = bench.upload()
    bench.conductor.answer(pipeline, ANSWERS, actor=ADA)
    bench.conductor.cancel(pipeline, actor=ADA, reason="wrong file")
    assert bench.state(pipeline) == ("cancelled", "bias")
    assert bench.pipeline(pipeline).ending_runs
    with pytest.raises(AttemptFenced):
        bench.start(pipeline, "bias")
    assert [one.state for one in bench.attempts(pipeline)] == ["cancelled"]
    assert [json.loads(one.value)["event_type"] for one in bench.records()][-1] == "stage.cancelled"


def test_cancel_while_the_run_works_fences_its_save_and_later_events_change_nothing(bench):
    pipeline = bench.upload()
    bench.conductor.answer(pipeline, ANSWERS, actor=ADA)
    work = bench.start(pipeline, "bias")
    bench.conductor.cancel(pipeline, actor=ADA)
    with pytest.raises(AttemptFenced):
        bench.save(work)
    before = bench.pipeline(pipeline).revision
    bench.deliver()
    assert bench.state(pipeline) == ("cancelled", "bias")
    assert bench.pipeline(pipeline).revision == before


def test_cancel_after_the_save_keeps_the_report_and_ends_the_pipeline(bench):
    pipeline = bench.upload()
    bench.conductor.answer(pipeline, ANSWERS, actor=ADA)
    bench.work(pipeline, "bias")
    bench.conductor.cancel(pipeline, actor=ADA)
    bench.deliver()
    assert bench.state(pipeline) == ("cancelled", "bias")
    assert [one.state for one in bench.attempts(pipeline)] == ["done"]
    assert not bench.pipeline(pipeline).ending_runs


def test_cancelling_again_changes_nothing_and_cancelling_what_is_complete_is_refused(bench):
    pipeline = bench.upload()
    assert bench.conductor.cancel(pipeline, actor=ADA).changed
    assert not bench.conductor.cancel(pipeline, actor=ADA).changed
    other = bench.upload(key=DatasetKey("ada", "other"))
    bench.complete(other)
    with pytest.raises(Conflict, match="is completed"):
        bench.conductor.cancel(other, actor=ADA)


def test_reject_ends_the_pipeline_with_its_reason(bench):
    pipeline = bench.upload()
    bench.conductor.answer(pipeline, None, actor=ADA)
    bench.work(pipeline, "bias")
    bench.deliver()
    bench.conductor.reject(pipeline, stage="automl", actor=ADA, reason="women are turned\x00 away")
    assert bench.state(pipeline) == ("rejected", "automl")
    assert "women are turned away" in bench.history(pipeline)[-1].message
    with pytest.raises(Conflict, match="approve is not possible"):
        bench.conductor.approve(pipeline, actor=ADA)


def test_a_newer_version_supersedes_and_the_old_run_can_save_nothing(bench):
    old = running(bench, "automl")
    work = bench.start(old, "automl")
    new = bench.upload(2)
    assert bench.state(old)[0] == "superseded"
    assert bench.pipeline(old).superseded_by == new
    assert bench.state(new) == ("waiting_for_answers", None)
    with pytest.raises(AttemptFenced):
        bench.save(work)
    assert "version 2" in bench.history(old)[-1].message


def test_versions_seen_in_the_wrong_order_leave_the_newest_in_charge(bench):
    bench.store(1)
    bench.store(2)
    first, second = bench.records()
    bench.conductor.on_event(second)
    bench.conductor.on_event(first)
    bench.delivered = 2
    with bench.warehouse.read() as session:
        from millrace.conductor.views import list_views

        states = {view.version: (view.state, view.superseded_by) for view in list_views(session)}
        newest = next(view.id for view in list_views(session) if view.version == 2)
    assert states == {2: ("waiting_for_answers", None), 1: ("superseded", newest)}


def test_a_completed_pipeline_of_an_older_version_stays_completed(bench):
    old = bench.upload()
    bench.complete(old)
    bench.upload(2)
    assert bench.state(old)[0] == "completed"


def test_a_transient_failure_is_tried_again_and_a_terminal_one_waits_for_a_person(bench):
    pipeline = running(bench, "bias")
    bench.fail(pipeline, "bias")
    bench.deliver()
    row = bench.pipeline(pipeline)
    assert (row.state, row.error["message"]) == ("retrying", "it broke")
    assert timedelta(0) < row.retry_at - now() < timedelta(seconds=3)
    bench.conductor.advance(pipeline, h.RetryDue(row.retry_at), cause="clock:retry")
    assert bench.state(pipeline) == ("queued", "bias")
    assert bench.pipeline(pipeline).error is None
    bench.fail(pipeline, "bias", transient=False)
    bench.deliver()
    assert bench.state(pipeline) == ("failed", "bias")
    bench.conductor.retry(pipeline, actor=ADA)
    bench.complete(pipeline)
    assert bench.state(pipeline)[0] == "completed"
    assert [one.attempt for one in bench.attempts(pipeline) if one.stage == "bias"] == [1, 2, 3]


def test_retry_of_explanations_runs_only_the_levels_that_are_missing(bench):
    pipeline = running(bench, "xai")
    bench.work(pipeline, "xai", "beginner")
    bench.work(pipeline, "xai", "expert")
    bench.fail(pipeline, "xai", "intermediate", transient=False)
    bench.deliver()
    assert bench.state(pipeline) == ("failed", "xai")
    bench.conductor.retry(pipeline, actor=ADA)
    opened = [(one.level, one.attempt) for one in bench.attempts(pipeline) if one.state == "requested"]
    assert opened == [("intermediate", 2)]
    bench.complete(pipeline)
    assert bench.state(pipeline)[0] == "completed"


def test_autopilot_answers_when_it_is_sure_and_asks_when_it_is_not(make_bench):
    bench = make_bench(MILLRACE_POLICY="autopilot")
    sure = bench.upload()
    assert bench.state(sure) == ("queued", "bias")
    assert bench.pipeline(sure).answers["target"] == "approved"
    assert "autopilot took the proposal" in bench.history(sure)[0].message
    bench.complete(sure)
    assert bench.state(sure)[0] == "completed"
    assert bench.pipeline(sure).approvals == {}
    vague = bench.upload(columns={"a": [1.5, 2.5, 3.5] * 9, "b": ["p", "q", "r"] * 9}, key=DatasetKey("ada", "vague"))
    assert bench.state(vague)[0] == "waiting_for_answers"
    assert "autopilot needs a person" in bench.history(vague)[0].message
    assert "uncertain" in bench.history(vague)[0].message


def test_answers_may_leave_parts_to_the_proposal(bench):
    pipeline = bench.upload()
    bench.conductor.answer(pipeline, GivenAnswers(target="approved", sensitive=()), actor=ADA)
    assert bench.pipeline(pipeline).answers == {
        "target": "approved",
        "task_type": "classification",
        "positive": "yes",
        "sensitive": [],
    }


def test_answers_that_cannot_work_are_refused_and_change_nothing(bench):
    pipeline = bench.upload()
    with pytest.raises(BadInput, match="did you mean 'approved'"):
        bench.conductor.answer(pipeline, GivenAnswers(target="aproved"), actor=ADA)
    with pytest.raises(BadInput) as caught:
        bench.conductor.answer(pipeline, ANSWERS, settings={"time_budget": "ten"}, actor=ADA)
    assert caught.value.field == "time_budget"
    assert bench.state(pipeline) == ("waiting_for_answers", None)
    assert bench.pipeline(pipeline).revision == 1
    assert bench.triggers() == []


def test_a_pipeline_on_bytes_that_are_there_begins_once_per_request(bench):
    bench.upload()
    arguments = {"answers": ANSWERS, "settings": {"levels": ["expert"], "policy": "autopilot"}, "actor": ADA}
    first = bench.conductor.create(DatasetKey("ada", "loans"), request_id="r-1", **arguments)
    again = bench.conductor.create(DatasetKey("ada", "loans"), request_id="r-1", **arguments)
    other = bench.conductor.create(DatasetKey("ada", "loans"), **arguments)
    assert first == again != other
    assert bench.state(first) == ("queued", "bias")
    bench.complete(first)
    assert [one.level for one in bench.attempts(first) if one.stage == "xai"] == ["expert"]
    with pytest.raises(NotFound):
        bench.conductor.create(DatasetKey("ada", "nothing"), actor=ADA)
    with pytest.raises(NotFound):
        bench.conductor.create(DatasetKey("ada", "loans"), version=9, actor=ADA)


def test_an_approval_says_what_was_seen_and_is_refused_when_that_is_not_shown(bench):
    pipeline = bench.upload()
    bench.conductor.answer(pipeline, ANSWERS, actor=ADA)
    bench.work(pipeline, "bias")
    bench.deliver()
    with pytest.raises(Conflict, match="has changed"):
        bench.conductor.approve(pipeline, actor=ADA, seen_sha256="0" * 64)
    assert bench.state(pipeline) == ("waiting_for_approval", "automl")


def test_an_unknown_pipeline_is_not_found(bench):
    for ask in (bench.conductor.cancel, bench.conductor.retry, bench.conductor.approve):
        with pytest.raises(NotFound, match="no pipeline"):
            ask("pl-nothing", actor=ADA)


def test_a_stage_launched_by_hand_moves_no_pipeline(bench):
    pipeline = bench.upload()
    bench.conductor.answer(pipeline, ANSWERS, actor=ADA)
    from millrace.contracts.task import StageRequest
    from millrace.warehouse.stage_work import claim

    bench.save(claim(bench.warehouse, StageRequest(key=DatasetKey("ada", "loans"), stage="bias", run_id="by-hand")))
    assert bench.conductor.on_event(bench.records()[-1]) == "ignored"
    assert bench.state(pipeline) == ("queued", "bias")
    assert bench.state(pipeline)[0] not in TERMINAL
