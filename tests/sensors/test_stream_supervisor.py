from datetime import timedelta

import pytest
from dagster import AssetKey, DagsterRunStatus

import definitions
from assets.tags import EPOCH, GENERATION, SLOT, STREAM
from millrace.contracts.events import now
from millrace.streams.members import claim
from millrace.streams.wanted import halt, start, stop, wanted_of
from millrace.warehouse.schema import StreamMember
from millrace.warehouse.scoring_models import save_scoring_model
from millrace.warehouse.statements import Made

pytestmark = pytest.mark.broker

NAME = "score_events"


@pytest.fixture
def supervisor():
    return definitions.defs.get_repository_def().get_sensor_def("score_events_supervisor")


@pytest.fixture
def add_run(instance):
    """`add_run(DagsterRunStatus.STARTED, slot=0, generation=1)` records a run of the job."""

    def add(status, *, slot=0, epoch=1, generation=1):
        tags = {STREAM: NAME, SLOT: str(slot), EPOCH: str(epoch), GENERATION: str(generation)}
        job = definitions.defs.get_job_def(NAME)
        run = instance.create_run_for_job(job, tags=tags, status=DagsterRunStatus.NOT_STARTED)
        if status is DagsterRunStatus.FAILURE:
            instance.report_run_failed(run)
        elif status is DagsterRunStatus.CANCELED:
            instance.report_run_canceled(run)
        elif status is not DagsterRunStatus.NOT_STARTED:
            from dagster import DagsterEvent, DagsterEventType

            event = DagsterEvent(DagsterEventType.PIPELINE_START.value, run.job_name)
            instance.report_dagster_event(event, run.run_id)
        return run.run_id

    return add


def keys(result):
    return [one.run_key for one in result.run_requests or ()]


def test_nothing_is_started_until_someone_asks(evaluate, supervisor):
    assert evaluate(supervisor).skip_message == "no process is wanted"


def test_what_is_wanted_and_not_there_is_requested_with_its_tags(evaluate, supervisor, warehouse, add_run):
    start(warehouse, NAME, processes=2, actor="a")
    add_run(DagsterRunStatus.STARTED, slot=0)
    (request,) = evaluate(supervisor).run_requests
    assert request.run_key == "score_events/1/1/1"
    wanted = {SLOT: "1", EPOCH: "1", GENERATION: "1"}
    assert wanted.items() <= request.tags.items()


def test_a_killed_process_is_requested_again_and_one_that_is_there_is_not(evaluate, supervisor, warehouse, add_run):
    start(warehouse, NAME, processes=1, actor="a")
    add_run(DagsterRunStatus.FAILURE, generation=1)
    assert keys(evaluate(supervisor)) == ["score_events/0/1/2"]
    add_run(DagsterRunStatus.NOT_STARTED, generation=2)
    assert evaluate(supervisor).skip_message == "all that is wanted runs"


def test_one_that_a_person_ended_stays_ended(evaluate, supervisor, warehouse, add_run):
    start(warehouse, NAME, processes=1, actor="a")
    add_run(DagsterRunStatus.CANCELED)
    assert keys(evaluate(supervisor)) == []
    assert wanted_of(warehouse, NAME).wanted == 0
    start(warehouse, NAME, processes=1, actor="a")
    assert keys(evaluate(supervisor)) == ["score_events/0/2/2"]


def test_a_halted_stream_is_left_alone_and_says_why(evaluate, supervisor, warehouse):
    start(warehouse, NAME, processes=1, actor="a")
    halt(warehouse, NAME, reason="too many dead letters", actor="r")
    assert evaluate(supervisor).skip_message == "halted: too many dead letters"


def test_a_run_whose_process_was_lost_with_its_host_is_marked_failed_and_replaced(
    evaluate, supervisor, warehouse, instance, add_run
):
    start(warehouse, NAME, processes=1, actor="a")
    run_id = add_run(DagsterRunStatus.STARTED)
    claim(warehouse, NAME, run_id, slot=0)
    assert evaluate(supervisor).skip_message == "all that is wanted runs"
    with warehouse.transaction() as session:
        session.get_one(StreamMember, (NAME, 0)).beat_at = now() - timedelta(minutes=5)
    assert keys(evaluate(supervisor)) == ["score_events/0/1/2"]
    run = instance.get_run_by_id(run_id)
    assert run.status is DagsterRunStatus.FAILURE


def test_with_a_failure_after_a_failure_it_waits_and_says_so(evaluate, supervisor, warehouse, add_run):
    start(warehouse, NAME, processes=1, actor="a")
    for generation in (1, 2, 3):
        add_run(DagsterRunStatus.FAILURE, generation=generation)
    assert "failed 3 times in a row" in evaluate(supervisor).skip_message


def test_after_a_stop_nothing_is_started(evaluate, supervisor, warehouse):
    start(warehouse, NAME, processes=1, actor="a")
    stop(warehouse, NAME, actor="a")
    assert evaluate(supervisor).skip_message == "no process is wanted"


@pytest.fixture
def choose(warehouse):
    """`choose(2, run_id="r")` records a scoring model as the second version."""

    def save(version, *, run_id=None):
        choice = {"kind": "vader", "source": f"source-{version}", "form": "lexicon", "version": "3.3.2+abc"}
        made = Made("scoring_model", (), {"chosen by": "cli:ada"}, seed=None, rows_in=None, rows_out=None, seconds=0.1)
        save_scoring_model(
            warehouse, NAME, choice, version=version, mlflow_run_id="m" * 32, tree_sha256=f"{version:064x}", made=made,
            actor="cli:ada", run_id=run_id,
        )  # fmt: skip

    return save


def test_models_chosen_on_the_command_line_are_materialisations_once(evaluate, supervisor, choose):
    choose(1)
    choose(2)
    first = evaluate(supervisor)
    assert first.skip_message == "no process is wanted"
    assert [one.metadata["scoring model"].value for one in first.asset_events] == [
        "model:score_events@v1",
        "model:score_events@v2",
    ]
    told = first.asset_events[1]
    assert (told.metadata["source"].value, told.metadata["chosen by"].value) == ("source-2", "cli:ada")
    assert told.tags == {"dagster/data_version": f"{2:064x}"}
    assert evaluate(supervisor, first.cursor).asset_events == []
    choose(3)
    (third,) = evaluate(supervisor, first.cursor).asset_events
    assert third.metadata["source"].value == "source-3"


def test_what_a_run_of_the_asset_chose_is_not_told_again(evaluate, supervisor, choose, instance):
    job = definitions.defs.get_repository_def().get_implicit_global_asset_job_def()
    run = instance.create_run_for_job(job, asset_selection=frozenset({AssetKey("scoring_model")}))
    stream = instance.create_run_for_job(definitions.defs.get_job_def(NAME))
    choose(1, run_id=run.run_id)
    choose(2, run_id=stream.run_id)
    result = evaluate(supervisor)
    assert [one.metadata["source"].value for one in result.asset_events] == ["source-2"]
    assert evaluate(supervisor, result.cursor).asset_events == []
