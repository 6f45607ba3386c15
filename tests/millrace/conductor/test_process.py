"""The conductor as a process, on a real broker that comes after it."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from millrace.contracts.topics import dead_letter_topic
from millrace.settings import Settings
from millrace.warehouse.outbox import backlog
from millrace.warehouse.schema import Consumed

pytestmark = [pytest.mark.broker, pytest.mark.slow]


class Conductor:
    def __init__(self, settings: Settings, log: Path) -> None:
        self.url = f"http://127.0.0.1:{settings.conductor_port}"
        self._log = log
        environment = {
            "MILLRACE_HOME": str(settings.home),
            "MILLRACE_KAFKA_PORT": str(settings.kafka_port),
            "MILLRACE_CONDUCTOR_PORT": str(settings.conductor_port),
            "MILLRACE_DAGSTER_PORT": str(settings.dagster_port),
        }
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "millrace.conductor.main"],
                env={**os.environ, **environment}, stdout=output, stderr=output,
            )  # fmt: skip

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def stop(self) -> float:
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(15) == 0, self._log.read_text()
        return time.monotonic() - began


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[Settings], Conductor]]:
    made: list[Conductor] = []

    def begin(settings: Settings) -> Conductor:
        made.append(Conductor(settings, tmp_path / "conductor.log"))
        return made[-1]

    yield begin
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def wait_for(condition: Callable[[], Any], *, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return found


def test_it_waits_for_the_broker_acts_on_events_survives_a_kill_and_stops_in_time(start, bench_on, broker_factory):
    broker = broker_factory()
    settings = broker.settings
    bench = bench_on(settings)
    conductor = start(settings)
    wait_for(lambda: conductor.get("/health/live")[0] == 200)
    status, body = conductor.get("/health/ready")
    assert (status, json.loads(body)["parts"]) == (503, {"warehouse": True, "broker": False})

    with broker:
        wait_for(lambda: conductor.get("/health/ready")[0] == 200)
        event_id = bench.store()
        wait_for(lambda: _pipelines(bench))
        (pipeline,) = _pipelines(bench)
        assert bench.state(pipeline)[0] == "waiting_for_answers"

        ghost = dataclasses.replace(bench.records()[0])
        _send(settings, settings.topics.dataset, {**json.loads(ghost.value), "dataset_id": "ghost", "event_id": "g"})
        _send(settings, settings.topics.bias, b"\xff not json")
        bench.conductor.answer(pipeline, None, actor="user:ada")
        wait_for(lambda: bench.attempts(pipeline))
        conductor.process.kill()
        conductor.process.wait()
        bench.work(pipeline, "bias")

        conductor = start(settings)
        wait_for(lambda: bench.state(pipeline) == ("waiting_for_approval", "automl"))
        wait_for(lambda: _count(settings, dead_letter_topic(settings.topics.dataset)) >= 1)
        wait_for(lambda: _count(settings, dead_letter_topic(settings.topics.bias)) >= 1)
        metrics = conductor.get("/metrics")[1]
        assert 'millrace_conductor_pipelines{state="waiting_for_approval"} 1.0' in metrics
        assert "millrace_relay_backlog_events 0.0" in metrics
        assert 'millrace_conductor_events_total{result="acted",topic="bias-events"} 1.0' in metrics
        assert conductor.get("/nothing")[0] == 404
        with bench.warehouse.read() as session:
            assert backlog(session).count == 0
            assert session.get(Consumed, ("conductor", event_id)) is not None
            assert session.get(Consumed, ("conductor", "g")) is None
        assert conductor.stop() < 10


def test_a_taken_port_is_said_by_its_setting_and_waiting_for_the_broker_stops_in_time(start, make_settings, tmp_path):
    settings = make_settings(tmp_path)
    first = start(settings)
    wait_for(lambda: first.get("/health/live")[0] == 200)
    second = start(settings)
    assert second.process.wait(60) == 5
    assert "MILLRACE_CONDUCTOR_PORT" in (tmp_path / "conductor.log").read_text()
    # of the 8 s that threads have to end
    assert first.stop() < 7


def _pipelines(bench) -> list[str]:
    from millrace.warehouse.schema import Pipeline

    with bench.warehouse.read() as session:
        return list(session.scalars(select(Pipeline.id)))


def _send(settings: Settings, topic: str, value: bytes | dict[str, Any]) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": settings.bootstrap})
    producer.produce(topic, value if isinstance(value, bytes) else json.dumps(value).encode(), key=b"ada.ghost")
    assert producer.flush(20) == 0


def _count(settings: Settings, topic: str) -> int:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": settings.bootstrap, "group.id": "count", "enable.auto.commit": False})
    try:
        partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
        return sum(consumer.get_watermark_offsets(TopicPartition(topic, one), timeout=20)[1] for one in partitions)
    finally:
        consumer.close()
