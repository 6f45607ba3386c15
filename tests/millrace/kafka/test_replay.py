import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from millrace.contracts.errors import BadInput, NotFound
from millrace.contracts.task import Coordinates
from millrace.contracts.topics import REPLAY_ID
from millrace.kafka.dead_letter_topics import dead_letter_topics, letter_at, read_letters
from millrace.kafka.dead_letters import DeadLetters
from millrace.kafka.records import Record
from millrace.kafka.replay import history, replay

pytestmark = pytest.mark.broker

CHILD = Path(__file__).with_name("replay_child.py")


@pytest.fixture
def letters(broker_settings, make_topic):
    """Makes a topic with so many dead letters and gives its name."""

    def make(count):
        topic, sender = make_topic(), DeadLetters(broker_settings)
        for offset in range(count):
            record = Record(Coordinates(topic, "id", 0, offset), b"k", b"%d" % offset, (("a", b"\xff"),), 1_000)
            sender.send(record, stage="scorer", error=BadInput(f"line {offset} is bad"))
        return topic

    return make


@pytest.fixture
def again(broker_settings):
    def run(topic, **more):
        found = dead_letter_topics(broker_settings, [topic])
        return replay(broker_settings, lambda: read_letters(broker_settings, found), **more)

    return run


def test_letters_go_back_once_with_their_bytes_key_and_headers(broker_settings, letters, again, read):
    topic = letters(5)
    assert (again(topic, dry_run=True).sent, read(topic)) == (5, [])
    first, second = again(topic), again(topic)
    assert (first.matched, first.sent, first.skipped, first.by_target) == (5, 5, 0, {topic: 5})
    assert (second.matched, second.sent, second.skipped) == (5, 0, 5)
    messages = read(topic)
    assert [one.value() for one in messages] == [b"0", b"1", b"2", b"3", b"4"]
    assert {one.key() for one in messages} == {b"k"}
    assert [name for name, _ in messages[0].headers()] == ["a", REPLAY_ID]
    recorded = {entry["letter"]: entry["id"] for entry in history(broker_settings) if entry["target"] == topic}
    for offset, message in enumerate(messages):
        assert dict(message.headers())[REPLAY_ID].decode() == recorded.pop(f"{topic}.dlq/0/{offset}")
    assert recorded == {}


def test_a_crash_in_the_middle_doubles_and_loses_nothing(broker_settings, letters, again, read):
    topic = letters(10)
    told = {"home": str(broker_settings.home), "port": broker_settings.kafka_port, "topic": topic}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    child = subprocess.run([sys.executable, str(CHILD), json.dumps(told)], env=environment, timeout=60)
    assert child.returncode == -signal.SIGKILL
    done = again(topic)
    assert (done.sent, done.skipped) == (6, 4)
    assert [one.value() for one in read(topic)] == [b"%d" % number for number in range(10)]


def test_another_topic_is_another_target(letters, again, read, make_topic):
    topic, repair = letters(3), make_topic()
    assert again(topic, target=repair).sent == 3
    assert again(topic, target=repair).sent == 0
    assert len(read(repair)) == 3
    assert again(topic).sent == 3


def test_the_rate_is_kept(letters, again):
    topic = letters(6)
    began = time.monotonic()
    assert again(topic, rate=4.0, batch=2).sent == 6
    assert time.monotonic() - began >= 1.5


def test_a_target_that_is_missing_or_the_letters_own_topic_is_refused(letters, again, read):
    topic = letters(1)
    with pytest.raises(BadInput, match="no-such-topic"):
        again(topic, target="no-such-topic")
    with pytest.raises(BadInput, match="its own"):
        again(topic, target=f"{topic}.dlq")
    with pytest.raises(BadInput, match="rate"):
        again(topic, rate=0)
    assert again(topic).sent == 1


def test_a_letter_is_found_by_its_place_and_nothing_else_is(broker_settings, letters):
    topic = letters(2)
    assert letter_at(broker_settings, f"{topic}.dlq/0/1").record.value == b"1"
    for missing in (f"{topic}.dlq/0/2", f"{topic}.dlq/0/999", f"{topic}.dlq/9/0", "no-such-topic.dlq/0/0"):
        with pytest.raises(NotFound):
            letter_at(broker_settings, missing)
    for wrong in ("", topic, f"{topic}.dlq/x/0", "a b/0/0", f"{topic}.dlq/0/-1"):
        with pytest.raises(BadInput):
            letter_at(broker_settings, wrong)
