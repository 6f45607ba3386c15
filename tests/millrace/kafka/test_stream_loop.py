"""The loop in this process, on the session's broker."""

import itertools
import threading
import time
import uuid

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from millrace.contracts.errors import BadInput, CannotReach
from millrace.kafka.clients import admin_config, consumer_config
from millrace.kafka.processor import Output
from millrace.kafka.stream_errors import TooManyDeadLetters
from millrace.kafka.stream_loop import StreamLoop
from millrace.kafka.stream_options import Step, StreamOptions, Totals
from millrace.kafka.topic_ids import TopicIds
from millrace.kafka.topics import create_topics, describe_topics

pytestmark = pytest.mark.broker


class Copy:
    """Copies key and value; `wrong` gives the error of a record, or None."""

    def __init__(self, out, wrong=lambda record: None):
        self.out = out
        self.wrong = wrong
        self.calls = []

    def process(self, batch):
        self.calls.append(len(batch))
        return [self.wrong(record) or (Output(self.out, record.value, record.key),) for record in batch]


@pytest.fixture
def make_loop(broker_settings):
    def make(topic, processor, on_step=lambda _: None, settings=None, **more):
        options = {"group": f"g-{uuid.uuid4().hex[:8]}", "topics": (topic,), "interval": 0.02, "first_pause": 0.05}
        return StreamLoop(settings or broker_settings, StreamOptions(**options | more), processor, on_step=on_step)

    return make


def test_a_run_ends_with_exactly_the_records_asked_for_and_the_next_goes_on_there(
    broker_settings, make_topic, fill, read, check_once, make_loop
):
    topic, out = make_topic(), make_topic()
    sent = fill(broker_settings, topic, 50)
    first = make_loop(topic, Copy(out), group="counted", batch_records=7).run(count=20, timeout=30)
    assert (first.records, first.outputs, first.aborted) == (20, 20, 0)
    check_once(read(out), sent[:20])
    second = make_loop(topic, Copy(out), group="counted").run(count=30, timeout=30)
    assert second.records == 30
    check_once(read(out), sent)


def test_outputs_of_every_kind_arrive_as_they_are_in_their_order(broker_settings, make_topic, fill, read, make_loop):
    topic, one, other = make_topic(), make_topic(), make_topic()
    # more than are given to the client at once, of one kind first
    sent = fill(broker_settings, topic, 2_500)
    odd = (Output(one, None, b"gone"), Output(one, b"", b""), Output(one, b"no key"), Output(other, b"elsewhere", b"k"),
           Output(one, b"told", b"k", (("h", b"1"), ("h", None))))  # fmt: skip

    def outputs(value):
        at = int(value.partition(b":")[2])
        return (Output(one, value, b"k"), *(odd[at % 7 : at % 7 + 1] if at > 1_200 else ()))

    class Many:
        def process(self, batch):
            return [outputs(record.value) for record in batch]

    wanted = [output for _, value in sent for output in outputs(value.encode())]
    assert make_loop(topic, Many(), interval=2.0).run(count=2_500, timeout=30).outputs == len(wanted)
    for name in (one, other):
        found = [(got.value(), got.key(), tuple(got.headers() or ())) for got in read(name)]
        assert found == [(of.value, of.key, of.headers) for of in wanted if of.topic == name]


def test_the_steps_of_each_batch_come_in_their_order(broker_settings, make_topic, fill, make_loop):
    topic, out, steps = make_topic(), make_topic(), []
    # of one batch: the next one's first steps come before this one's last
    fill(broker_settings, topic, 1)
    make_loop(topic, Copy(out), steps.append).run(count=1, timeout=30)
    assert steps == list(Step)


def test_time_ends_a_run_that_has_nothing_to_do(make_topic, make_loop):
    began = time.monotonic()
    assert make_loop(make_topic(), Copy("none")).run(timeout=0.5) == Totals()
    assert time.monotonic() - began < 10


def test_what_cannot_be_read_is_a_dead_letter_in_the_same_transaction(
    broker_settings, make_topic, send, read, make_loop
):
    topic, out = make_topic(), make_topic()
    send(topic, b"good", b"\xff\xfe", b"also good", key=b"u")

    def wrong(record):
        return BadInput("not UTF-8", field="payload") if record.value.startswith(b"\xff") else None

    totals = make_loop(topic, Copy(out, wrong), group="scorer").run(count=3, timeout=30)
    assert (totals.records, totals.outputs, totals.dead_letters) == (3, 2, 1)
    (letter,) = read(f"{topic}.dlq")
    assert (letter.value(), letter.key()) == (b"\xff\xfe", b"u")
    told = dict(letter.headers())
    assert (told["millrace-dlq-stage"], told["millrace-dlq-offset"]) == (b"scorer", b"1")


def test_a_dependency_that_is_away_holds_its_records_and_makes_no_dead_letters(
    broker_settings, make_topic, fill, read, check_once, make_loop
):
    topic, out, tries = make_topic(partitions=2), make_topic(partitions=2), {}
    sent = fill(broker_settings, topic, 40)

    def wrong(record):
        tries[record.value] = tries.get(record.value, 0) + 1
        # one record needs three tries; another partition's go on meanwhile
        return CannotReach("the model is away") if record.value == b"k3:3" and tries[record.value] < 4 else None

    totals = make_loop(topic, Copy(out, wrong)).run(count=40, timeout=30)
    assert (totals.retried, totals.dead_letters) == (3, 0)
    assert tries.pop(b"k3:3") == 4
    assert set(tries.values()) == {1}, "what had a result was not processed again"
    check_once(read(out), sent)


def test_with_the_breaker_open_only_probes_are_sent_and_a_server_that_asks_for_time_gets_it(
    broker_settings, make_topic, fill, read, check_once, make_loop, background, wait_for
):
    topic, out, calls, away = make_topic(), make_topic(), [], threading.Event()
    sent = fill(broker_settings, topic, 30)
    away.set()

    class Away(Copy):
        def process(self, batch):
            calls.append((time.monotonic(), len(batch)))
            if away.is_set():
                raise CannotReach("429", retry_after=0.3)
            return super().process(batch)

    loop = make_loop(topic, Away(out), breaker_failures=2, first_pause=0.01, interval=1.0, batch_records=30)
    background(lambda stop: loop.run(stop=stop))
    wait_for(lambda: len(calls) >= 5)
    away.clear()
    wait_for(lambda: loop.totals.records == 30)
    assert [size for _, size in calls[:5]] == [30, 30, 1, 1, 1]
    assert min(after - before for (before, _), (after, _) in itertools.pairwise(calls)) >= 0.3
    assert loop.totals.dead_letters == 0
    check_once(read(out), sent)


def test_a_flood_of_dead_letters_stops_the_loop_before_they_are_sent(
    broker_settings, make_topic, fill, read, make_loop
):
    topic, out = make_topic(), make_topic()
    fill(broker_settings, topic, 200)
    loop = make_loop(
        topic, Copy(out, lambda _: BadInput("no field text")), group="flood", batch_records=20,
        dead_letter_minimum=50, dead_letter_window=100, interval=1.0,
    )  # fmt: skip
    with pytest.raises(TooManyDeadLetters, match=r"60 of the last 60 .* no field text"):
        loop.run(timeout=30)
    assert len(read(f"{topic}.dlq")) == 40
    # the next one begins with the first of those that were not sent
    totals = make_loop(topic, Copy(out), group="flood").run(count=160, timeout=30)
    assert (totals.records, totals.dead_letters) == (160, 0)


def test_an_unexpected_error_ends_the_loop_and_commits_nothing_of_the_batch(
    broker_settings, make_topic, fill, read, make_loop
):
    topic, out = make_topic(), make_topic()
    fill(broker_settings, topic, 10)
    with pytest.raises(ZeroDivisionError):
        make_loop(topic, Copy(out, lambda record: 1 // 0), group="broken").run(timeout=30)
    assert read(out) == []
    assert make_loop(topic, Copy(out), group="broken").run(count=10, timeout=30).records == 10


def test_outputs_that_their_topic_does_not_take_end_the_loop_and_the_broker_s_reason_is_told(
    broker_settings, make_topic, fill, read, make_loop
):
    topic, out = make_topic(), f"small-{uuid.uuid4().hex[:8]}"
    admin = AdminClient(admin_config(broker_settings))
    admin.create_topics([NewTopic(out, 1, 1, config={"max.message.bytes": "1000"})])[out].result(20)
    fill(broker_settings, topic, 10)

    class Long(Copy):
        def process(self, batch):
            return [(Output(out, b"x" * 2_000, record.key),) for record in batch]

    # the commit says only that something was not delivered: the reason is asked for when the batch is sent again
    with pytest.raises(CannotReach, match=r"cannot commit.*(?i:too large)"):
        make_loop(topic, Long(out)).run(timeout=60)
    assert read(out) == []


def test_a_step_that_does_not_end_does_not_hold_up_the_stop(broker_settings, make_topic, fill, read, make_loop):
    topic, out, inside, never = make_topic(), make_topic(), threading.Event(), threading.Event()
    fill(broker_settings, topic, 10)

    class Stuck(Copy):
        def process(self, batch):
            inside.set()
            never.wait(60)
            return super().process(batch)

    stop, ended = threading.Event(), []
    loop = make_loop(topic, Stuck(out), shutdown_seconds=0.5)
    thread = threading.Thread(target=lambda: ended.append(loop.run(stop=stop)))
    thread.start()
    assert inside.wait(30)
    began = time.monotonic()
    stop.set()
    thread.join(20)
    assert time.monotonic() - began < 8
    never.set()
    assert ended == [Totals()]
    assert read(out) == []


@pytest.mark.slow
def test_a_step_longer_than_the_group_allows_between_polls_is_done_once(
    broker_settings, make_topic, fill, read, check_once, make_loop, monkeypatch
):
    def impatient(settings, *, group, **extra):
        # 6 s is the least that the broker takes
        limits = {"session.timeout.ms": 6_000, "max.poll.interval.ms": 6_000}
        return {**consumer_config(settings, group=group, **extra), **limits}

    monkeypatch.setattr("millrace.kafka.intake.consumer_config", impatient)
    topic, out = make_topic(), make_topic()
    sent = fill(broker_settings, topic, 40)

    class Long(Copy):
        def process(self, batch):
            if not self.calls:
                time.sleep(7.5)
            return super().process(batch)

    step = Long(out)
    # more records wait than may be in flight, so that the partition is paused meanwhile
    totals = make_loop(topic, step, batch_records=10, interval=1.0).run(count=40, timeout=60)
    assert (totals.records, totals.aborted, step.calls) == (40, 0, [10, 10, 10, 10])
    check_once(read(out), sent)


def test_a_recreated_topic_is_read_from_its_beginning_and_nothing_of_it_twice(
    broker_settings, make_topic, fill, read, check_once, make_loop, background, wait_for
):
    topic, out = make_topic(), make_topic()
    old = fill(broker_settings, topic, 3)
    loop = make_loop(topic, Copy(out))
    background(lambda stop: loop.run(stop=stop))
    wait_for(lambda: loop.totals.records == 3)
    admin = AdminClient(admin_config(broker_settings))
    admin.delete_topics([topic])[topic].result()
    wait_for(lambda: not describe_topics(broker_settings, [topic]))
    create_topics(broker_settings.model_copy(update={"partitions": 1}), [topic])
    new = fill(broker_settings, topic, 2, start=3)
    wait_for(lambda: loop.totals.records >= 5, seconds=60)
    new += fill(broker_settings, topic, 2, start=5)
    wait_for(lambda: loop.totals.records >= 7)
    check_once(read(out), old + new)


def test_a_recreated_topic_is_noticed_where_no_further_record_comes(
    broker_settings, make_topic, fill, make_loop, background, wait_for
):
    topic, out = make_topic(), make_topic()
    fill(broker_settings, topic, 3)
    loop = make_loop(topic, Copy(out))
    loop._intake._ids = TopicIds(broker_settings, max_age=2)
    background(lambda stop: loop.run(stop=stop))
    wait_for(lambda: loop.totals.records == 3)
    # as if the id had been looked up before the topic was recreated, with more records than were read of the old one
    loop._intake._ids._known[topic].topic_id = "old"
    wait_for(lambda: loop.totals.records == 6, seconds=15)


def test_at_least_once_sends_everything_in_order(broker_settings, make_topic, fill, read, check_once, make_loop):
    topic, out = make_topic(), make_topic()
    sent = fill(broker_settings, topic, 60)
    totals = make_loop(topic, Copy(out), guarantee="at_least_once", group="least").run(count=60, timeout=30)
    assert totals.records == 60
    check_once(read(out), sent)
    assert make_loop(topic, Copy(out), guarantee="at_least_once", group="least").run(timeout=1).records == 0


def test_without_a_broker_the_loop_gives_up_and_says_so(make_settings, tmp_path, make_loop):
    settings = make_settings(tmp_path)
    began = time.monotonic()
    for guarantee in ("exactly_once", "at_least_once"):
        loop = make_loop("in", Copy("out"), settings=settings, give_up_seconds=1.0, guarantee=guarantee)
        with pytest.raises(CannotReach, match=settings.bootstrap) as raised:
            loop.run()
        assert "millrace doctor" in str(raised.value)
    assert time.monotonic() - began < 30
