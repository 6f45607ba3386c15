"""The job of score_events as Dagster runs it, in this process."""

import json
import os
import signal
import threading
import time

import pytest
from dagster import AssetKey

import definitions
from assets.tags import EPOCH, SLOT
from millrace.kafka.lag import lag_of
from millrace.streams.members import members_of
from millrace.streams.names import group_of
from millrace.streams.wanted import start, stop, wanted_of
from millrace.warehouse.schema import Stream

pytestmark = pytest.mark.broker

STREAM = "score_events"


@pytest.fixture
def execute(instance):
    """Runs the job in this thread, as a run that the supervisor requested unless `tags` says otherwise."""

    def run(tags=None):
        tags = {SLOT: "0", EPOCH: "1"} if tags is None else tags
        return definitions.defs.get_job_def(STREAM).execute_in_process(
            instance=instance, tags=tags, raise_on_error=False
        )

    return run


@pytest.fixture
def later(wait_for):
    """`later(condition, act)` acts in another thread when the condition holds, after 2 s more; joined in the end."""
    threads = []

    def when(condition, act):
        def work():
            try:
                wait_for(condition)
                time.sleep(2)
            finally:
                act()

        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield when
    for thread in threads:
        thread.join(60)


def observations(instance):
    records = instance.fetch_observations(AssetKey("events_scored"), limit=100, ascending=True).records
    return [record.event_log_entry.asset_observation for record in records]


def said(instance, words):
    """How often the newest run has said it."""
    records = instance.all_logs(instance.get_runs()[0].run_id)
    return sum(words in record.user_message for record in records)


def behind(live):
    return sum(one.records for one in lag_of(live, group_of(live, STREAM), [live.events_topic]))


def test_a_stop_ends_the_run_in_success_with_its_checkpoints_seen(live, warehouse, instance, execute, later, send):
    send(50, b"no event")
    start(warehouse, STREAM, processes=1, actor="a")
    later(lambda: members_of(warehouse, STREAM) and behind(live) == 0, lambda: stop(warehouse, STREAM, actor="ada"))
    result = execute()
    assert result.success
    seen = observations(instance)
    assert len(seen) >= 2
    last = {name: value.value for name, value in seen[-1].metadata.items()}
    assert (last["records in all"], last["outputs in all"], last["dead letters in all"]) == (51, 50, 1)
    assert sum(last["offsets"].values()) == 51
    assert (last["model"], last["model version"][:3]) == ("vader", "3.3")
    assert any("lag records" in one.metadata for one in seen)
    assert "end to end" in last["latency"]
    (member,) = members_of(warehouse, STREAM)
    assert (member.outcome, member.alive) == ("0 processes are wanted by ada", False)
    assert member.checkpoint["totals"]["records"] == 51


def test_an_interrupt_commits_what_is_in_work_and_goes_on_up(live, warehouse, instance, execute, later, send):
    send(30)
    start(warehouse, STREAM, processes=1, actor="a")
    moment = []

    def interrupt():
        moment.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    later(lambda: members_of(warehouse, STREAM) and behind(live) == 0, interrupt)
    assert not execute().success
    assert time.monotonic() - moment[0] < 10
    (member,) = members_of(warehouse, STREAM)
    assert member.outcome.startswith("interrupted: DagsterExecutionInterruptedError")
    assert observations(instance)[-1].metadata["records in all"].value == 30
    # what a person ends in Dagster is counted off by the supervisor, who knows that it was a person
    assert wanted_of(warehouse, STREAM).wanted == 1


def test_a_launch_by_hand_takes_a_slot_and_is_wanted(live, warehouse, instance, execute, later):
    later(lambda: members_of(warehouse, STREAM), lambda: stop(warehouse, STREAM, actor="a"))
    result = execute(tags={})
    assert result.success
    run = instance.get_run_by_id(result.run_id)
    assert (run.tags[SLOT], run.tags[EPOCH]) == ("0", "1")
    assert wanted_of(warehouse, STREAM).epoch == 1


def test_too_many_dead_letters_halt_the_stream_with_a_clear_alarm(live, warehouse, instance, execute, send):
    send(*[b"garbage"] * 300)
    start(warehouse, STREAM, processes=1, actor="a")
    result = execute()
    assert not result.success
    halted = wanted_of(warehouse, STREAM)
    assert "dead letters, above the limit of 50%" in halted.halted
    assert "millrace dlq list" in halted.halted
    assert (halted.wanted, halted.running) == (1, 0)
    failure = next(one for one in result.all_events if one.is_step_failure).event_specific_data.user_failure_data
    assert "dead letters" in failure.description
    assert failure.metadata["error"].value == "too-many-dead-letters"


def test_another_model_is_taken_up_while_it_runs_and_the_checkpoints_name_it(
    live, warehouse, instance, execute, later, send, wait_for, read_scored, pin_vader
):
    send(20)
    start(warehouse, STREAM, processes=1, actor="a")

    def change():
        pin_vader(warehouse, source="again", version=2)
        wait_for(lambda: said(instance, "goes on with again 3.3"))
        send(10)
        wait_for(lambda: len(read_scored()) >= 30)
        stop(warehouse, STREAM, actor="a")

    later(lambda: members_of(warehouse, STREAM) and behind(live) == 0, change)
    assert execute().success
    assert len(read_scored()) == 30
    told = [one.metadata["scoring model"].value for one in observations(instance)]
    assert (told[0], told[-1]) == ("model:score_events@v1", "model:score_events@v2")
    assert said(instance, "goes on with again 3.3") == 1


def test_what_cannot_be_used_is_refused_and_the_stream_goes_on_with_what_it_has(
    live, warehouse, instance, execute, later, send, wait_for, read_scored
):
    start(warehouse, STREAM, processes=1, actor="a")

    def change():
        with warehouse.transaction() as session:
            row = session.get_one(Stream, STREAM)
            row.pinned = {**row.pinned, "version": "3.0+of-another-release"}
        wait_for(lambda: said(instance, "goes on with what it has"))
        send(10)
        wait_for(lambda: len(read_scored()) >= 10)
        stop(warehouse, STREAM, actor="a")

    later(lambda: members_of(warehouse, STREAM), change)
    assert execute().success
    assert {json.loads(one)["model_version"][:4] for one in read_scored()} == {"3.3."}
    assert said(instance, "goes on with what it has") == 1


def test_a_restart_with_a_model_that_is_not_the_pinned_one_halts_the_stream(live, warehouse, instance, execute):
    with warehouse.transaction() as session:
        row = session.get_one(Stream, STREAM)
        row.pinned = {**row.pinned, "version": "3.0+of-another-release"}
    start(warehouse, STREAM, processes=1, actor="a")
    assert not execute().success
    assert "never changes its model by itself" in wanted_of(warehouse, STREAM).halted


def test_a_champion_that_cannot_be_looked_up_is_told_and_the_stream_goes_on_with_what_it_has(
    live, warehouse, instance, execute, later, monkeypatch
):
    with warehouse.transaction() as session:
        row = session.get_one(Stream, STREAM)
        row.pinned = {**row.pinned, "follows": "models:/ada.reviews@champion"}
    start(warehouse, STREAM, processes=1, actor="a")
    later(lambda: observations(instance), lambda: stop(warehouse, STREAM, actor="a"))
    assert execute().success
    assert said(instance, "goes on with what it has: the MLflow server") >= 1
