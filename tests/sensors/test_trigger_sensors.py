"""The tick against a real broker, a real warehouse and a real Dagster instance."""

import json
import time

import pytest

from assets.tags import request_from
from millrace.contracts import topics as headers
from millrace.contracts.events import AutomlTrigger, BiasTrigger, XaiTrigger
from millrace.contracts.task import Coordinates
from millrace.kafka.plan import read_cursor
from sensors import tick
from sensors.triggers import automl_trigger_sensor, bias_trigger_sensor, xai_trigger_sensor

BIAS = BiasTrigger.write(
    user_id="ada", dataset_id="loans", target_column_name="approved", task_type="classification", record_count=4
).to_bytes()
PIPELINE = {headers.PIPELINE: "pl-1", headers.ATTEMPT: "2", headers.EVENT_ID: "pl-1-bias-2", "traceparent": "00-a-b-01"}


def test_an_event_becomes_one_run_that_knows_its_work(live, produce, store_version, evaluate, instance):
    store_version("ada", "loans")
    produce(live.bias_trigger_topic, BIAS, headers=PIPELINE, partition=1)
    found = evaluate(bias_trigger_sensor)
    (wanted,) = found.run_requests
    cursor = read_cursor(found.cursor)
    assert wanted.run_key == f"{live.bias_trigger_topic}/{cursor.topic_id}/1/0"
    assert wanted.partition_key == "ada.loans"
    request = request_from(wanted.tags, partition_key="ada.loans", run_id="r", stage="bias")
    assert (request.pipeline_id, request.attempt, request.event_id) == ("pl-1", 2, "pl-1-bias-2")
    assert (request.target, request.task_type, request.trace_parent) == ("approved", "classification", "00-a-b-01")
    assert request.trigger == Coordinates(live.bias_trigger_topic, cursor.topic_id, 1, 0)
    assert [one.partition_keys for one in found.dynamic_partitions_requests] == [["ada.loans"]]
    assert cursor.offsets[1] == 1


def test_a_known_partition_key_is_not_added_again(live, produce, store_version, evaluate, instance):
    store_version("ada", "loans")
    instance.add_dynamic_partitions("datasets", ["ada.loans"])
    produce(live.bias_trigger_topic, BIAS)
    produce(live.bias_trigger_topic, BIAS)
    found = evaluate(bias_trigger_sensor)
    assert len(found.run_requests) == 2
    assert found.dynamic_partitions_requests == []


def test_nothing_new_waits_out_the_tick_and_keeps_the_cursor(evaluate, live):
    first = evaluate(bias_trigger_sensor)
    began = time.monotonic()
    again = evaluate(bias_trigger_sensor, first.cursor)
    assert time.monotonic() - began > 1.0
    assert again.run_requests == []
    assert again.skip_message == "no new events"
    assert again.cursor == first.cursor


def test_a_replay_from_the_old_cursor_asks_for_the_same_run(live, produce, store_version, evaluate):
    # Dagster reserved the runs and crashed before it stored the cursor
    store_version("ada", "loans")
    produce(live.bias_trigger_topic, BIAS, headers=PIPELINE)
    first, again = evaluate(bias_trigger_sensor), evaluate(bias_trigger_sensor)
    assert [one.run_key for one in first.run_requests] == [one.run_key for one in again.run_requests]
    assert first.cursor == again.cursor


def test_the_same_event_sent_twice_starts_one_run(live, produce, store_version, evaluate):
    store_version("ada", "loans")
    produce(live.bias_trigger_topic, BIAS, headers=PIPELINE)
    produce(live.bias_trigger_topic, BIAS, headers=PIPELINE)
    found = evaluate(bias_trigger_sensor)
    assert len(found.run_requests) == 1
    assert read_cursor(found.cursor).offsets[0] == 2


def test_a_trigger_for_an_outside_worker_is_left_to_it(live, produce, store_version, evaluate, dead_letters):
    store_version("ada", "loans")
    produce(live.bias_trigger_topic, BIAS, headers={**PIPELINE, headers.EXECUTOR: "external"})
    found = evaluate(bias_trigger_sensor)
    assert found.run_requests == []
    assert read_cursor(found.cursor).offsets[0] == 1
    assert dead_letters(live.bias_trigger_topic) == []


HOSTILE = {
    "truncated JSON": BIAS[:40],
    "not UTF-8": b'{"user_id": "\xff\xfe"}',
    "nothing": b"",
    "not an object": b"[1, 2]",
    "missing fields": b'{"user_id": "ada", "dataset_id": "loans"}',
    "wrong type": BIAS.replace(b'"classification"', b'"clustering"'),
    "hostile id": BIAS.replace(b'"ada"', b'"../../etc"'),
    "two megabytes": b'{"user_id": "' + b"x" * 2_000_000 + b'"}',
    "no such data set": BIAS.replace(b'"loans"', b'"gone"'),
}


def test_what_cannot_be_used_goes_to_the_dead_letters_and_the_chain_goes_on(
    live, produce, store_version, evaluate, dead_letters
):
    store_version("ada", "loans")
    for value in HOSTILE.values():
        produce(live.bias_trigger_topic, value)
    produce(live.bias_trigger_topic, BIAS)
    cursor, requests = None, []
    for _ in range(6):
        found = evaluate(bias_trigger_sensor, cursor)
        cursor = found.cursor
        requests += found.run_requests
        if read_cursor(cursor).offsets[0] == len(HOSTILE) + 1:
            break
    assert [one.run_key.rpartition("/")[2] for one in requests] == [str(len(HOSTILE))]
    letters = dead_letters(live.bias_trigger_topic)
    assert [letter.value for letter in letters] == list(HOSTILE.values())
    assert all(letter.headers[headers.DLQ_STAGE] == "bias_trigger_sensor" for letter in letters)
    assert letters[-1].headers[headers.DLQ_ERROR] == "not-found"
    assert letters[7].headers[headers.DLQ_ERROR] == "too-large"


@pytest.mark.parametrize("bad", [{headers.PIPELINE: "pl-1"}, {headers.ATTEMPT: "1"},
                                 {headers.PIPELINE: "pl-1", headers.ATTEMPT: "first"}])  # fmt: skip
def test_headers_that_contradict_themselves_are_dead_letters(bad, live, produce, store_version, evaluate, dead_letters):
    store_version("ada", "loans")
    produce(live.bias_trigger_topic, BIAS, headers=bad)
    assert evaluate(bias_trigger_sensor).run_requests == []
    assert len(dead_letters(live.bias_trigger_topic)) == 1


def test_three_levels_become_three_runs_that_select_their_level(live, produce, store_version, evaluate):
    store_version("ada", "loans")
    for level in ("beginner", "intermediate", "expert"):
        value = XaiTrigger.write(user_id="ada", dataset_id="loans", model_id="loans", version="v3", level=level)
        produce(live.xai_trigger_topic, value.to_bytes())
    found = evaluate(xai_trigger_sensor)
    assert [[key.to_user_string() for key in one.asset_selection] for one in found.run_requests] == [
        ["explanation", f"xai_report/{level}"] for level in ("beginner", "intermediate", "expert")
    ]
    request = request_from(found.run_requests[2].tags, partition_key="ada.loans", run_id="r", stage="xai")
    assert (request.level, request.model_version) == ("expert", 3)


def test_the_time_budget_of_the_payload_reaches_the_run(live, produce, store_version, evaluate):
    store_version("ada", "loans")
    value = AutomlTrigger.write(
        user_id="ada", dataset_id="loans", target_column_name="approved", task_type="regression", time_budget="7"
    )
    produce(live.automl_trigger_topic, value.to_bytes())
    (wanted,) = evaluate(automl_trigger_sensor).run_requests
    assert json.loads(wanted.tags["millrace/payload"]) == {
        "target": "approved", "task_type": "regression", "time_budget": 7,
    }  # fmt: skip


def test_a_recreated_topic_is_read_anew_under_new_keys(live, produce, store_version, evaluate):
    from confluent_kafka.admin import AdminClient

    from millrace.kafka.topics import create_topics

    store_version("ada", "loans")
    produce(live.bias_trigger_topic, BIAS)
    before = evaluate(bias_trigger_sensor)
    admin = AdminClient({"bootstrap.servers": live.bootstrap})
    for future in admin.delete_topics([live.bias_trigger_topic]).values():
        future.result(10)
    deadline = time.monotonic() + 10
    while not create_topics(live, [live.bias_trigger_topic]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    produce(live.bias_trigger_topic, BIAS)
    after = evaluate(bias_trigger_sensor, before.cursor)
    assert len(after.run_requests) == 1
    assert after.run_requests[0].run_key != before.run_requests[0].run_key


def test_at_most_fifty_events_are_taken_in_a_tick(live, produce, store_version, evaluate, monkeypatch):
    monkeypatch.setattr(tick, "MAX_EVENTS", 3)
    store_version("ada", "loans")
    for _ in range(4):
        produce(live.bias_trigger_topic, BIAS)
    first = evaluate(bias_trigger_sensor)
    second = evaluate(bias_trigger_sensor, first.cursor)
    assert [len(first.run_requests), len(second.run_requests)] == [3, 1]
