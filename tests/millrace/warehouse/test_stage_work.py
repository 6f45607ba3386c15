import threading

import pytest
from sqlalchemy import select, update

from millrace.contracts.errors import AttemptFenced, Conflict, NotFound
from millrace.contracts.events import StageEvent, now
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.task import Answers, Coordinates, PipelineSettings, StageRequest
from millrace.warehouse.schema import Model, Outbox, StageAttempt, UserPolicy
from millrace.warehouse.stage_work import claim, fail
from millrace.warehouse.store import Warehouse

KEY = DatasetKey("ada", "loans")
AT = Coordinates("bias-trigger-events", "uuid", 1, 7)


def _stage_events(warehouse: Warehouse) -> list[StageEvent]:
    with warehouse.read() as session:
        rows = session.scalars(select(Outbox).where(Outbox.topic == "stage-events").order_by(Outbox.id)).all()
    return [StageEvent.model_validate_json(row.value) for row in rows]


def _attempt(warehouse: Warehouse) -> StageAttempt:
    with warehouse.read() as session:
        return session.scalars(select(StageAttempt)).one()


def test_a_claimed_attempt_gives_the_pipelines_answers_and_settings(warehouse: Warehouse, make_attempt) -> None:
    work = claim(warehouse, make_attempt())

    assert work.fenced
    assert work.answers == Answers(target="approved", task_type="classification", positive="true")
    assert work.settings == PipelineSettings(time_budget=7, seed=3)
    assert (work.settings_source, work.approval) == ("pipeline", "pipeline:pl-1")
    assert work.version.version == 1
    assert work.trace_parent is not None
    assert work.trace_parent.startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")


def test_claiming_says_started_once(warehouse: Warehouse, make_attempt) -> None:
    request = make_attempt()
    claim(warehouse, request)
    claim(warehouse, request)

    (event,) = _stage_events(warehouse)
    assert (event.event_type, event.stage, event.attempt) == ("stage.started", "bias", 1)
    assert (event.pipeline_id, event.dagster_run_id) == ("pl-1", "run-1")
    attempt = _attempt(warehouse)
    assert (attempt.state, attempt.dagster_run_id) == ("claimed", "run-1")
    assert attempt.claimed_at is not None


def test_the_trigger_and_the_process_are_recorded(warehouse: Warehouse, make_attempt) -> None:
    request = make_attempt()
    claim(warehouse, StageRequest(**{**vars(request), "trigger": AT}))

    trigger = _attempt(warehouse).trigger
    assert trigger is not None
    assert trigger["offset"] == 7
    assert set(trigger["process"]) == {"host", "pid", "started"}


def test_another_run_is_fenced(warehouse: Warehouse, make_attempt) -> None:
    request = make_attempt()
    claim(warehouse, request)

    with pytest.raises(AttemptFenced, match="claimed by run run-1"):
        claim(warehouse, StageRequest(**{**vars(request), "run_id": "run-2"}))


@pytest.mark.parametrize("state", ["cancelled", "done", "failed"])
def test_an_attempt_that_is_over_cannot_be_claimed(warehouse: Warehouse, make_attempt, state: str) -> None:
    request = make_attempt()
    with warehouse.transaction() as session:
        session.execute(update(StageAttempt).values(state=state))

    with pytest.raises(AttemptFenced, match=state):
        claim(warehouse, request)
    assert _stage_events(warehouse) == []


def test_of_many_runs_that_claim_at_once_one_wins(warehouse: Warehouse, make_attempt) -> None:
    request = make_attempt()
    won: list[str] = []
    lost: list[str] = []

    def run(run_id: str) -> None:
        try:
            claim(warehouse, StageRequest(**{**vars(request), "run_id": run_id}))
            won.append(run_id)
        except AttemptFenced:
            lost.append(run_id)

    threads = [threading.Thread(target=run, args=(f"run-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(won) == 1
    assert len(lost) == 7
    assert _attempt(warehouse).dagster_run_id == won[0]
    assert len(_stage_events(warehouse)) == 1


def test_levels_are_attempts_of_their_own(warehouse: Warehouse, make_attempt) -> None:
    beginner = make_attempt("xai", level="beginner")
    expert = make_attempt("xai", level="expert", run_id="run-2")

    assert claim(warehouse, beginner).request.level == "beginner"
    assert claim(warehouse, expert).request.level == "expert"
    assert [event.level for event in _stage_events(warehouse)] == ["beginner", "expert"]


def test_an_attempt_that_does_not_exist_is_not_found(warehouse: Warehouse, make_attempt) -> None:
    request = make_attempt()
    for wrong in ({"attempt": 9}, {"stage": "automl"}, {"pipeline_id": "pl-9"}, {"key": DatasetKey("eve", "loans")}):
        with pytest.raises(NotFound):
            claim(warehouse, StageRequest(**{**vars(request), **wrong}))


def test_a_failure_is_told_once(warehouse: Warehouse, make_attempt) -> None:
    request = make_attempt()
    claim(warehouse, request)

    assert fail(warehouse, request, error_class="OSError", message="disk " + "x" * 9_000, transient=True)
    assert not fail(warehouse, request, error_class="OSError", message="again", transient=True)

    failed = _stage_events(warehouse)[-1]
    assert (failed.event_type, failed.error_class, failed.transient) == ("stage.failed", "OSError", True)
    assert failed.error_message is not None
    assert len(failed.error_message) == 4_000
    attempt = _attempt(warehouse)
    assert attempt.state == "failed"
    assert attempt.error is not None
    assert attempt.error["transient"] is True
    assert len(_stage_events(warehouse)) == 2


def test_a_run_that_died_before_its_claim_fails_the_attempt(warehouse: Warehouse, make_attempt) -> None:
    request = make_attempt()
    assert fail(warehouse, request, error_class="RunEnded", message="died", transient=True)
    with pytest.raises(AttemptFenced):
        claim(warehouse, request)


def test_another_run_cannot_fail_the_attempt(warehouse: Warehouse, make_attempt) -> None:
    request = make_attempt()
    claim(warehouse, request)

    other = StageRequest(**{**vars(request), "run_id": "run-2"})
    assert not fail(warehouse, other, error_class="E", message="m", transient=False)
    assert _attempt(warehouse).state == "claimed"


def test_a_stage_by_hand_takes_the_newest_version_and_its_newest_answers(
    warehouse: Warehouse, upload, add_pipeline
) -> None:
    upload()
    second = upload(b"age,approved\n1,a\n2,b\n").version
    add_pipeline("pl-1", version=1)
    answers = Answers(target="age", task_type="regression")
    add_pipeline("pl-2", version=2, answers=answers.model_dump(mode="json"), state="failed")
    add_pipeline("pl-3", version=2, answers=None)

    work = claim(warehouse, StageRequest(key=KEY, stage="bias", run_id="hand"))

    assert work.version == second
    assert work.answers == answers
    assert (work.settings_source, work.approval, work.fenced) == ("pipeline", "none", False)
    assert _stage_events(warehouse) == []
    assert not fail(warehouse, work.request, error_class="E", message="m", transient=False)


def test_a_stage_by_hand_falls_back_to_the_proposal(warehouse: Warehouse, upload, add_pipeline) -> None:
    upload()
    proposal = Answers(target="approved", task_type="classification", sensitive=("region",))
    add_pipeline("pl-1", answers=None, proposals={"answers": proposal.model_dump(mode="json")})

    work = claim(warehouse, StageRequest(key=KEY, stage="automl", run_id="hand"))

    assert work.answers == proposal
    assert work.settings_source == "proposal"


def test_a_stage_by_hand_without_answers_says_what_to_run(warehouse: Warehouse, upload, add_pipeline) -> None:
    upload()
    with pytest.raises(Conflict, match="POST /pipelines"):
        claim(warehouse, StageRequest(key=KEY, stage="bias", run_id="hand"))
    add_pipeline("pl-1", answers=None)
    with pytest.raises(Conflict, match="millrace pipeline answer pl-1"):
        claim(warehouse, StageRequest(key=KEY, stage="bias", run_id="hand"))


def test_a_third_partys_trigger_says_target_task_and_budget(warehouse: Warehouse, upload, add_pipeline) -> None:
    upload()
    known = Answers(target="approved", task_type="classification", positive="true", sensitive=("region", "age"))
    add_pipeline("pl-1", answers=known.model_dump(mode="json"))
    request = StageRequest(
        key=KEY, stage="automl", run_id="r", target="age", task_type="regression", time_budget=11, trigger=AT
    )

    work = claim(warehouse, request)

    assert work.answers == Answers(target="age", task_type="regression", sensitive=("region",))
    assert work.settings == PipelineSettings(time_budget=11, seed=3)
    assert (work.settings_source, work.approval) == ("trigger", "none")


def test_a_users_policy_gives_the_settings_where_no_pipeline_is(warehouse: Warehouse, upload) -> None:
    upload()
    with warehouse.transaction() as session:
        session.add(UserPolicy(user_id="ada", settings={"seed": 9}, updated_at=now()))
    request = StageRequest(key=KEY, stage="bias", run_id="r", target="approved", task_type="classification")

    assert claim(warehouse, request).settings == PipelineSettings(seed=9)


def test_a_data_set_that_does_not_exist_is_not_found(warehouse: Warehouse) -> None:
    request = StageRequest(key=KEY, stage="bias", run_id="r", target="y", task_type="classification")
    with pytest.raises(NotFound):
        claim(warehouse, request)


def test_a_model_is_explained_on_the_version_that_it_was_trained_on(warehouse: Warehouse, upload, add_pipeline) -> None:
    first = upload().version
    upload(b"age,approved\n1,a\n2,b\n")
    known = Answers(target="age", task_type="regression", sensitive=("region",))
    add_pipeline("pl-1", version=1, answers=known.model_dump(mode="json"))
    with warehouse.transaction() as session:
        session.add(
            Model(
                user_id="ada",
                dataset_id="loans",
                version=3,
                dataset_version=1,
                registered_name="ada.loans",
                mlflow_run_id="m",
                model_uri="models:/ada.loans/3",
                tree_sha256="0" * 64,
                framework="sklearn",
                task_type="classification",
                algorithm="rf",
                target_column="approved",
                size_bytes=1,
                metrics={},
                details={},
                created_at=now(),
            )
        )
    request = StageRequest(key=KEY, stage="xai", run_id="r", level="expert", model_version=3)

    work = claim(warehouse, request)

    assert work.version == first
    assert work.answers == Answers(target="approved", task_type="classification", sensitive=("region",))
    with pytest.raises(NotFound, match="v9"):
        claim(warehouse, StageRequest(**{**vars(request), "model_version": 9}))
