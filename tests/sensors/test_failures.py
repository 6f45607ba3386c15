"""The backstop for runs that could not tell that they had failed."""

import io
from dataclasses import replace

import pytest
from dagster import DagsterEvent, DagsterInstance, build_run_status_sensor_context
from sqlalchemy import select

from assets.tags import tags_of
from millrace import settings as environment
from millrace.conductor.service import Conductor
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.task import Answers, StageRequest
from millrace.warehouse.schema import Outbox, StageAttempt
from millrace.warehouse.stage_work import claim
from millrace.warehouse.store import open_warehouse
from millrace.warehouse.uploads import receive, store_upload
from resources.warehouse import WarehouseResource
from sensors.failures import run_cancelled_sensor, run_failure_sensor

KEY = DatasetKey("ada", "loans")
RUN = "5f4a7c1e-9b1d-4a55-8a39-0d9c1c7f1e11"


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path / "home"))
    return open_warehouse(environment.load(), migrate=True)


@pytest.fixture
def request_of_run(store):
    settings = environment.load()
    text = "number,sex,approved\n" + "".join(f"{n},{'fm'[n % 2]},{'yn'[n % 2]}\n" for n in range(40))
    received = receive(io.BytesIO(text.encode()), file_name="f.csv", settings=settings, warehouse=store)
    store_upload(store, settings, received, key=KEY, name="loans")
    answers = Answers(target="approved", task_type="classification", sensitive=("sex",))
    pipeline_id = Conductor(store, settings).create(KEY, answers=answers, actor="user:ada")
    return StageRequest(key=KEY, stage="bias", run_id=RUN, pipeline_id=pipeline_id, attempt=1)


def ended(sensor, tags, *, event="PIPELINE_FAILURE"):
    with DagsterInstance.ephemeral() as instance:
        import definitions

        job = definitions.defs.get_repository_def().get_job("bias_job")
        instance.add_dynamic_partitions("datasets", [KEY.partition_key])
        run = instance.create_run_for_job(job, run_id=RUN, tags={"dagster/partition": KEY.partition_key, **tags})
        with build_run_status_sensor_context(
            sensor_name=sensor.name,
            dagster_instance=instance,
            dagster_run=run,
            dagster_event=DagsterEvent(event, "bias_job", message="killed by signal 9"),
            resources={"warehouse": WarehouseResource()},
        ) as context:
            sensor(context)


def state(store):
    with store.read() as session:
        row = session.scalars(select(StageAttempt)).one()
        return row.state, row.error


def test_a_run_that_died_after_its_claim_is_a_transient_failure(store, request_of_run):
    claim(store, request_of_run)
    ended(run_failure_sensor, tags_of(request_of_run))
    found, error = state(store)
    assert found == "failed"
    assert (error["error_class"], error["transient"]) == ("RunDied", True)
    assert "killed by signal 9" in error["message"]


def test_a_run_that_never_started_its_work_is_told_for_too(store, request_of_run):
    ended(run_failure_sensor, tags_of(request_of_run))
    assert state(store)[0] == "failed"


def test_a_run_that_a_person_ended_in_dagster_is_not_tried_again(store, request_of_run):
    claim(store, request_of_run)
    ended(run_cancelled_sensor, tags_of(request_of_run), event="PIPELINE_CANCELED")
    error = state(store)[1]
    assert (error["error_class"], error["transient"]) == ("RunCancelled", False)


def test_a_failure_that_was_told_is_told_once(store, request_of_run):
    claim(store, request_of_run)
    ended(run_failure_sensor, tags_of(request_of_run))
    ended(run_failure_sensor, tags_of(request_of_run))
    with store.read() as session:
        assert sum(b"stage.failed" in value for value in session.scalars(select(Outbox.value))) == 1


def test_an_attempt_of_another_run_stays_as_it_is(store, request_of_run):
    claim(store, replace(request_of_run, run_id="another"))
    ended(run_failure_sensor, tags_of(request_of_run))
    assert state(store)[0] == "claimed"


def test_a_run_launched_by_hand_is_nobodys_attempt(store, request_of_run):
    ended(run_failure_sensor, {})
    assert state(store)[0] == "requested"
