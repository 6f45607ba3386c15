"""A stream on the whole platform: asked for, seen, killed, ended from Dagster's pages, and nothing lost on the way."""

import csv
import json
import os
import signal
import time
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

pytestmark = [pytest.mark.slow, pytest.mark.broker, pytest.mark.timeout(400)]

_RUNS = """query { runsOrError(filter: {pipelineName: "score_events"}) { ... on Runs { results { runId status } } } }"""
_TERMINATE = """mutation($ids: [String!]!) { terminateRuns(runIds: $ids, terminatePolicy: SAFE_TERMINATE)
    { __typename ... on PythonError { message } } }"""
_RELOAD = """mutation { reloadRepositoryLocation(repositoryLocationName: "definitions")
    { ... on WorkspaceLocationEntry { locationOrLoadError { __typename } } ... on PythonError { message } } }"""
_CHOSEN = """query { assetOrError(assetKey: {path: ["scoring_model"]})
    { ... on Asset { assetMaterializations(limit: 9) {
     metadataEntries { label ... on TextMetadataEntry { text } } } } } }"""
_OBSERVED = """query { assetOrError(assetKey: {path: ["events_scored"]})
    { ... on Asset { assetObservations(limit: 50) {
     metadataEntries { label ... on IntMetadataEntry { intValue } ... on TextMetadataEntry { text } } } } } }"""


def _send(platform: Any, numbers: range) -> None:
    producer = Producer({"bootstrap.servers": platform.bootstrap, "enable.idempotence": True})
    for number in numbers:
        event = {"event_id": str(number), "ts": "2026-01-01T00:00:00Z", "user_id": str(number % 9), "text": "I love it"}
        producer.produce("events.raw", json.dumps(event), event["user_id"])
    assert producer.flush(30) == 0


def _scored(platform: Any) -> list[str]:
    """Ids of all scored events, each as often as a reader of committed records sees it."""
    return [event["event_id"] for event in _events(platform)]


def _events(platform: Any) -> list[dict[str, Any]]:
    consumer = Consumer(
        {"bootstrap.servers": platform.bootstrap, "group.id": "journey", "isolation.level": "read_committed",
         "enable.partition.eof": True, "enable.auto.commit": False}
    )  # fmt: skip
    found = []
    for partition in consumer.list_topics("events.scored", timeout=20).topics["events.scored"].partitions:
        consumer.assign([TopicPartition("events.scored", partition, OFFSET_BEGINNING)])
        while True:
            message = consumer.poll(5)
            assert message is not None
            if message.error() is None:
                found.append(json.loads(message.value()))
            elif message.error().code() == KafkaError._PARTITION_EOF:
                break
    consumer.close()
    return found


def _listed(platform: Any) -> dict[str, Any]:
    streams = platform.command("stream", "list", "--json").json()["streams"]
    stream = next(one for one in streams if one["stream"] == "score_events")
    return (stream["members"] or [{"alive": False, "pid": None}])[0] | {"wanted": stream["wanted"]}


def _member(platform: Any) -> dict[str, Any]:
    return dict(platform.member("score_events"))


def _runs(platform: Any) -> dict[str, str]:
    return {one["runId"]: one["status"] for one in platform.graphql(_RUNS)["runsOrError"]["results"]}


def _told(platform: Any, query: str, events: str) -> list[str]:
    """The scoring model that each of the asset's events names."""
    found = platform.graphql(query)["assetOrError"].get(events, [])
    return [one["text"] for event in found for one in event["metadataEntries"] if one["label"] == "scoring model"]


def test_a_stream_survives_a_kill_and_a_reload_and_ends_when_it_is_told_to(platform: Any, waits: Any) -> None:
    assert _listed(platform)["wanted"] == 0
    assert platform.command("stream", "start", "--json").json()["wanted"] == 1
    waits(lambda: _member(platform)["alive"], "a process of the stream", seconds=60)
    _send(platform, range(300))
    waits(lambda: len(_scored(platform)) >= 300, "300 scored events")

    # killed: another one comes by itself, and takes up where this one stopped
    killed = _listed(platform)["pid"]
    assert killed == _member(platform)["pid"]
    os.kill(killed, signal.SIGKILL)
    _send(platform, range(300, 600))
    began = time.monotonic()
    waits(lambda: _member(platform)["alive"] and _member(platform)["pid"] != killed, "its successor")
    assert time.monotonic() - began < 30
    waits(lambda: len(_scored(platform)) >= 600, "600 scored events")

    # the code changes, and the location is reloaded on Dagster's page: the process goes on as it is, and the one
    # that takes its place has the new code
    running = _member(platform)["pid"]
    step = platform.code / "platform/millrace/streams/scoring/step.py"
    before = step.read_text()
    step.write_text(before.replace('"ai_model": self._scorer.name', '"ai_model": "of the new code"'))
    try:
        reloaded = platform.graphql(_RELOAD)["reloadRepositoryLocation"]
        assert reloaded["locationOrLoadError"]["__typename"] == "RepositoryLocation"
        _send(platform, range(600, 650))
        waits(lambda: len(_scored(platform)) >= 650, "650 scored events")
        assert _member(platform)["pid"] == running
        platform.command("stream", "restart")
        _send(platform, range(650, 700))
        waits(lambda: len(_scored(platform)) >= 700, "700 scored events")
        waits(lambda: _member(platform)["alive"] and _member(platform)["pid"] != running, "its successor")
        _send(platform, range(700, 720))
        waits(lambda: len(_scored(platform)) >= 720, "720 scored events")
    finally:
        step.write_text(before)
    made = {int(event["event_id"]): event["ai_model"] for event in _events(platform)}
    assert {made[number] for number in range(650)} == {"vader"}
    assert {made[number] for number in range(700, 720)} == {"of the new code"}

    # terminated as Dagster's page does it
    (live,) = [run_id for run_id, status in _runs(platform).items() if status == "STARTED"]
    _send(platform, range(720, 800))
    began = time.monotonic()
    platform.graphql(_TERMINATE, ids=[live])
    waits(lambda: _runs(platform)[live] == "CANCELED", "CANCELED")
    assert time.monotonic() - began < 10
    waits(lambda: _member(platform)["wanted"] == 0, "that it stays ended")
    # the model of the first start is recorded, and every checkpoint names it
    pinned = platform.command("stream", "model", "--json").json()["model"]
    assert pinned["ref"] == "model:score_events@v1"
    verified = platform.command("lineage", "verify", "model:score_events", "--json")
    assert (verified.code, verified.json()["checked"]["models"]) == (0, 1), verified.output
    waits(lambda: _told(platform, _CHOSEN, "assetMaterializations"), "the choice in Dagster")
    assert _told(platform, _CHOSEN, "assetMaterializations") == [pinned["ref"]]
    assert set(_told(platform, _OBSERVED, "assetObservations")) == {pinned["ref"]}
    observed = platform.graphql(_OBSERVED)["assetOrError"]["assetObservations"]
    assert any(one["label"] == "records in all" for seen in observed for one in seen["metadataEntries"])

    # started again, and stopped from the command line
    platform.command("stream", "start")
    waits(lambda: len(_scored(platform)) >= 800, "800 scored events")
    platform.command("stream", "stop")
    waits(lambda: not _member(platform)["alive"], "the end")
    waits(lambda: set(_runs(platform).values()) == {"FAILURE", "CANCELED", "SUCCESS"}, "a SUCCESS")
    assert sorted(_scored(platform), key=int) == [str(number) for number in range(800)]


def test_the_demo_shows_everything_in_one_command(platform: Any, tmp_path: Any) -> None:
    demo = ("stream", "demo", "--seconds", "5", "--rate", "40", "--bad", "0.1", "--folder", str(tmp_path), "--json")
    told = platform.command(*demo).json()
    assert (told["produced"], told["bad"] > 0) == (200, True)
    with (tmp_path / "ai_kafka_results.csv").open(newline="") as source:
        rows = list(csv.DictReader(source))
    # what an earlier test left in the topic is in the file too
    assert len(rows) == told["written"] >= told["produced"] - told["bad"]
    assert len({row["event_id"] for row in rows}) == len(rows)
    # as it does here: that of the test above ran other code for a while
    assert {row["ai_model"] for row in rows} <= {"vader", "of the new code"}
    assert {row["ai_model"] for row in rows[-100:]} == {"vader"}
    assert (tmp_path / "ai_kafka_results" / "manifest.json").exists()
    assert _listed(platform)["wanted"] == 0
