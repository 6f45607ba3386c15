"""Streams whose processes are killed: what is read with read_committed is there once and in order per key."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest
from confluent_kafka import Consumer

from millrace.kafka.clients import consumer_config
from millrace.kafka.committers import MustAbort, Transactions
from millrace.kafka.processor import Output
from millrace.kafka.stream_loop import StreamLoop
from millrace.kafka.stream_options import StreamOptions

pytestmark = pytest.mark.broker

CHILD = Path(__file__).with_name("stream_child.py")
SEED = 20_261_125


class Copy:
    def __init__(self, out):
        self.out = out

    def process(self, batch):
        return [(Output(self.out, record.value, record.key),) for record in batch]


@pytest.fixture
def start():
    """Starts `stream_child.py` in a process of its own; whatever still lives in the end is killed."""
    running = []

    def begin(settings, **told):
        told |= {"home": str(settings.home), "port": settings.kafka_port}
        # the children load the code that this process has loaded
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        child = subprocess.Popen(
            [sys.executable, str(CHILD), json.dumps(told)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        running.append(child)
        return child

    yield begin
    for child in running:
        child.kill()
        child.communicate()


@pytest.fixture
def finish(background, wait_for):
    """Lets a loop in this process take over the slot until everything sent is in the output topic."""

    def run(settings, topic, out, group, count, read):
        options = StreamOptions(group=group, topics=(topic,), batch_records=500, interval=0.02)
        loop = StreamLoop(settings, options, Copy(out))
        stop = background(lambda stop: loop.run(stop=stop))
        wait_for(lambda: len(read(out)) >= count, seconds=60)
        stop.set()
        return loop

    return run


@pytest.mark.parametrize(
    ("step", "seen"),
    [("PROCESSED", 50), ("PRODUCED", 50), ("OFFSETS_SENT", 50), ("COMMITTING", None), ("COMMITTED", 100)],
)
def test_a_kill_at_any_step_loses_and_doubles_nothing(
    broker_settings, make_topic, fill, read, check_once, start, finish, step, seen
):
    topic, out = make_topic(partitions=2), make_topic(partitions=2)
    sent = fill(broker_settings, topic, 250)
    child = start(broker_settings, topic=topic, out=out, group=f"g-{topic}", step=step, batch=2)
    assert child.wait(60) == -signal.SIGKILL, child.communicate()
    before = len(read(out))
    # the second batch of the child died at the step: only its commit makes it seen
    assert before == seen if seen is not None else before in (50, 100)
    finish(broker_settings, topic, out, f"g-{topic}", 250, read)
    check_once(read(out), sent)


@pytest.mark.slow
def test_twenty_kills_at_random_moments_of_the_work_lose_and_double_nothing(
    broker_settings, make_topic, fill, read, check_once, start, finish
):  # fmt: skip
    draw, topic, out, met = random.Random(SEED), make_topic(partitions=2), make_topic(partitions=2), set()
    # more than is done until the last kill: 0.2 s have room for 40 pauses, the seed's rounds for about 6,000 records
    sent = fill(broker_settings, topic, 10_000)

    def ready():
        told = {"kill_after": draw.uniform(0.0, 0.2), "batch_records": draw.choice((7, 20)), "pause": 0.005}
        return start(broker_settings, topic=topic, out=out, group=f"g-{topic}", interval=0.01, held=True, **told)

    child = ready()
    for _ in range(20):
        following = ready()
        steps, trouble = child.communicate("go\n", timeout=60)
        assert child.returncode == -signal.SIGKILL, trouble
        met.add(steps.split()[-1])
        child = following
    assert 0 < len(read(out)) < len(sent)
    assert len(met) > 1, f"every kill met the same step: {met}"
    finish(broker_settings, topic, out, f"g-{topic}", len(sent), read)
    check_once(read(out), sent)


def test_of_two_processes_with_one_slot_the_older_is_fenced_and_says_so(
    broker_settings, make_topic, fill, read, check_once, start, finish, wait_for
):
    topic, out = make_topic(), make_topic()
    sent = fill(broker_settings, topic, 400)
    # 400 records in batches of 10 with a pause each: it is in the middle when the other comes
    older = start(broker_settings, topic=topic, out=out, group=f"g-{topic}", batch_records=10, pause=0.1)
    wait_for(lambda: len(read(out)) >= 20)
    finish(broker_settings, topic, out, f"g-{topic}", 400, read)
    _, told = older.communicate(timeout=30)
    assert older.returncode == 3, told
    assert "replaced: slot 0 of group" in told
    assert "different slots" in told
    check_once(read(out), sent)


def test_sigterm_commits_what_is_in_work_and_ends_in_time(
    broker_settings, make_topic, fill, read, check_once, start, wait_for
):
    topic, out = make_topic(), make_topic()
    sent = fill(broker_settings, topic, 300)
    child = start(broker_settings, topic=topic, out=out, group=f"g-{topic}", batch_records=10, pause=0.2)
    wait_for(lambda: read(out))
    child.send_signal(signal.SIGTERM)
    told, _ = child.communicate(timeout=10)
    assert child.returncode == 0
    done = json.loads(told)["records"]
    assert 0 < done < 300
    check_once(read(out), sent[:done])


def test_a_rebalance_in_the_middle_of_a_batch_loses_and_doubles_nothing(
    broker_settings, make_topic, fill, read, check_once, background, wait_for
):
    topic, out, group = make_topic(partitions=4), make_topic(partitions=2), f"g-{uuid.uuid4().hex[:8]}"
    sent = fill(broker_settings, topic, 400)
    inside, go = threading.Event(), threading.Event()

    class Gated(Copy):
        def process(self, batch):
            inside.set()
            assert go.wait(30)
            return super().process(batch)

    def options(slot):
        return StreamOptions(group=group, topics=(topic,), slot=slot, batch_records=50, interval=0.02)

    first = StreamLoop(broker_settings, options(0), Gated(out))
    second = StreamLoop(broker_settings, options(1), Copy(out))
    background(lambda stop: first.run(stop=stop))
    assert inside.wait(30)
    background(lambda stop: second.run(stop=stop))
    # the second has partitions while the first one's batch, of partitions that it no longer has, is in work
    wait_for(lambda: second.totals.records > 0)
    go.set()
    wait_for(lambda: len(read(out)) >= 400)
    check_once(read(out), sent)
    assert first.totals.records > 0


def test_a_broker_that_is_killed_and_comes_back_loses_and_doubles_nothing(
    broker_factory, fill, read_committed, check_once, background, wait_for
):
    from millrace.kafka.topics import create_topics

    broker = broker_factory().start().wait_ready()
    settings = broker.settings.model_copy(update={"partitions": 2})
    # an acknowledged record must survive the kill for the test to say anything of the loop
    create_topics(settings, ["in", "out"])
    sent = fill(settings, "in", 300)

    class Slow(Copy):
        def process(self, batch):
            threading.Event().wait(0.05)
            return super().process(batch)

    options = StreamOptions(group="g", topics=("in",), batch_records=10, interval=0.02)
    loop = StreamLoop(settings, options, Slow("out"))
    background(lambda stop: loop.run(stop=stop))
    wait_for(lambda: loop.totals.records >= 50)
    broker.kill()
    broker.start().wait_ready()
    wait_for(lambda: loop.totals.records >= 300, seconds=60)
    check_once(read_committed(settings, "out"), sent)


def test_a_batch_whose_consumer_joined_anew_is_aborted_and_can_be_committed_after_that(
    broker_settings, make_topic, read
):
    # after a broker's restart the member has another id: it was not replaced by another process
    topic, out, group = make_topic(), make_topic(), f"g-{uuid.uuid4().hex[:8]}"
    options = StreamOptions(group=group, topics=(topic,))
    config = consumer_config(broker_settings, group=group, group_instance_id=options.member)
    until, sent = time.monotonic() + 60, [Output(out, b"once")]
    committer = Transactions(broker_settings, options, on_step=lambda step: None)
    committer.open(until)
    known = []
    for consumer in (before := Consumer(config), after := Consumer(config)):
        consumer.subscribe([topic])
        while not consumer.assignment():
            assert time.monotonic() < until
            consumer.poll(0.1)
        known.append(consumer.consumer_group_metadata())
    with pytest.raises(MustAbort, match="fenced"):
        committer.send(sent, {(topic, 0): 1}, known[0], until)
    committer.abort(until)
    committer.send(sent, {(topic, 0): 1}, known[1], until)
    assert [message.value() for message in read(out)] == [b"once"]
    after.close()
    before.close()
