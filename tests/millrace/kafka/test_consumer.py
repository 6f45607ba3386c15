import threading
import time
import uuid
from collections.abc import Callable

import pytest
from confluent_kafka.admin import AdminClient
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from millrace.contracts.errors import BadInput, CannotReach
from millrace.kafka.clients import admin_config
from millrace.kafka.consumer import ConsumerLoop
from millrace.kafka.records import Record
from millrace.kafka.topic_ids import TopicIds
from millrace.kafka.topics import create_topics, describe_topics
from millrace.kafka.waiting import pause_seconds

pytestmark = pytest.mark.broker


@pytest.fixture
def make_loop(broker_settings):
    def make(topic: str, handler: Callable[[Record], None], group: str = "", **options) -> ConsumerLoop:
        return ConsumerLoop(
            broker_settings, group=group or f"g-{uuid.uuid4().hex[:8]}", topics=[topic], handler=handler,
            first_pause=0.05, **options,
        )  # fmt: skip

    return make


def test_records_are_handled_in_order_and_once_over_two_lives(make_topic, send, make_loop, background, wait_for):
    topic, seen = make_topic(), []
    send(topic, b"0", b"1", b"2")
    first = make_loop(topic, lambda record: seen.append(record.value), group="twice")
    stop = background(first.run)
    wait_for(lambda: len(seen) == 3)
    stop.set()
    wait_for(lambda: threading.active_count() == 1 or first.handled == 3)
    time.sleep(1)
    send(topic, b"3")
    background(make_loop(topic, lambda record: seen.append(record.value), group="twice").run)
    wait_for(lambda: len(seen) == 4)
    assert seen == [b"0", b"1", b"2", b"3"]


def test_a_transient_failure_holds_up_its_partition_only_and_keeps_the_order(
    make_topic, send, make_loop, background, wait_for
):
    topic, seen, away = make_topic(partitions=2), [], threading.Event()
    away.set()

    def handler(record: Record) -> None:
        if record.coordinates.partition == 0 and away.is_set():
            raise CannotReach("the warehouse is away")
        seen.append((record.coordinates.partition, record.value))

    send(topic, b"a", b"b", b"c", partition=0)
    loop = make_loop(topic, handler)
    background(loop.run)
    wait_for(lambda: loop.waiting == 1)
    send(topic, b"x", b"y", partition=1)
    wait_for(lambda: len(seen) == 2)
    assert seen == [(1, b"x"), (1, b"y")]
    away.clear()
    wait_for(lambda: len(seen) == 5)
    assert seen[2:] == [(0, b"a"), (0, b"b"), (0, b"c")]
    assert loop.dead_lettered == 0


def test_what_cannot_be_read_is_dead_lettered_and_the_rest_goes_on(
    broker, make_topic, send, make_loop, background, wait_for
):
    topic, seen = make_topic(), []

    def handler(record: Record) -> None:
        try:
            seen.append(record.value.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise BadInput("not UTF-8", field="payload") from error

    large = b"\xff" * 2_000_000
    send(topic, b"good", b"\xff\xfe", large, b"also good", key=b"u.d", headers=[("traceparent", b"00-ab")])
    loop = make_loop(topic, handler, group="unreadable")
    background(loop.run)
    wait_for(lambda: len(seen) == 2)
    assert seen == ["good", "also good"]
    assert (loop.handled, loop.dead_lettered) == (2, 2)

    reader = KafkaConsumer(bootstrap_servers=broker, consumer_timeout_ms=8_000, auto_offset_reset="earliest")
    reader.assign([TopicPartition(f"{topic}.dlq", 0)])
    letters = [next(reader), next(reader)]
    reader.close()
    assert [one.value for one in letters] == [b"\xff\xfe", large]
    told = dict(letters[0].headers)
    assert told["traceparent"] == b"00-ab"
    assert (told["millrace-dlq-stage"], told["millrace-dlq-offset"]) == (b"unreadable", b"1")


def test_a_header_name_that_is_no_utf8_does_no_harm(broker, make_topic, send, make_loop, background, wait_for):
    class Hostile(str):
        def encode(self, *_: object) -> bytes:
            return b"\xff\xfe"

    topic, seen = make_topic(), []
    producer = KafkaProducer(bootstrap_servers=broker)
    # enough of them that the interpreter has optimised what reads them
    hostile = 200
    for _ in range(hostile):
        producer.send(topic, b"hostile", headers=[("good", b"2"), (Hostile("x"), b"1")])
    producer.close()
    send(topic, b"good")
    loop = make_loop(topic, lambda record: seen.append((record.headers, record.value)))
    background(loop.run)
    wait_for(lambda: seen == [({}, b"good")])
    assert loop.dead_lettered == hostile


def test_an_unexpected_error_ends_the_loop_and_the_record_comes_again(
    make_topic, send, make_loop, background, wait_for
):
    topic, seen = make_topic(), []
    send(topic, b"0", b"1")

    def broken(record: Record) -> None:
        if record.value == b"1":
            raise ZeroDivisionError
        seen.append(record.value)

    with pytest.raises(ZeroDivisionError):
        make_loop(topic, broken, group="broken").run(threading.Event())
    background(make_loop(topic, lambda record: seen.append(record.value), group="broken").run)
    wait_for(lambda: b"1" in seen)
    assert seen in ([b"0", b"1"], [b"0", b"0", b"1"])


def test_a_stop_is_followed_within_two_seconds_also_while_a_record_waits(make_topic, send, make_loop, wait_for):
    topic, stop = make_topic(), threading.Event()
    send(topic, b"0")

    def away(record: Record) -> None:
        raise CannotReach("away")

    loop = make_loop(topic, away)
    thread = threading.Thread(target=loop.run, args=(stop,))
    thread.start()
    wait_for(lambda: loop.waiting == 1)
    began = time.monotonic()
    stop.set()
    thread.join(20)
    assert time.monotonic() - began < 5


def test_a_recreated_topic_is_read_from_its_beginning_with_its_new_id(
    broker_settings, make_topic, send, make_loop, background, wait_for
):
    topic, seen = make_topic(), []
    send(topic, b"old 0", b"old 1", b"old 2")
    background(make_loop(topic, seen.append).run)
    wait_for(lambda: len(seen) == 3)
    admin = AdminClient(admin_config(broker_settings))
    admin.delete_topics([topic])[topic].result()
    wait_for(lambda: not describe_topics(broker_settings, [topic]))
    create_topics(broker_settings.model_copy(update={"partitions": 1}), [topic])
    send(topic, *(f"new {number}".encode() for number in range(6)))
    wait_for(lambda: len({one.value for one in seen}) == 9, seconds=60)
    new = [one for one in seen if one.value.startswith(b"new")]
    assert {one.coordinates.topic_id for one in new} == {describe_topics(broker_settings, [topic])[0].topic_id}
    assert {one.coordinates.offset for one in new} == set(range(6))


def test_a_recreated_topic_is_noticed_where_no_further_record_comes(
    broker_settings, make_topic, send, make_loop, background, wait_for
):
    topic, seen = make_topic(), []
    send(topic, b"0", b"1", b"2")
    loop = make_loop(topic, seen.append)
    loop._ids = TopicIds(broker_settings, max_age=2)
    background(loop.run)
    wait_for(lambda: len(seen) == 3)
    # as if the id had been looked up before the topic was recreated, with more records than were read of the old one
    loop._ids._known[topic].topic_id = "old"
    wait_for(lambda: len(seen) == 6, seconds=15)
    assert [one.value for one in seen] == [b"0", b"1", b"2"] * 2


def test_a_broker_recreated_empty_is_read_from_its_beginning(broker_factory, send_to, background, wait_for):
    broker = broker_factory().start().wait_ready()
    settings, seen = broker.settings, []
    create_topics(settings, ["t"])

    send_to(settings, "t", b"old 0", b"old 1", b"old 2", partition=0)
    background(ConsumerLoop(settings, group="g", topics=["t"], handler=seen.append).run)
    wait_for(lambda: len(seen) == 3)
    broker.kill()
    broker.wipe()
    broker.start().wait_ready()
    create_topics(settings, ["t"])
    send_to(settings, "t", *(f"new {number}".encode() for number in range(6)), partition=0)
    wait_for(lambda: len({one.value for one in seen}) == 9, seconds=60)


def test_pauses_double_up_to_half_a_minute():
    assert [pause_seconds(tries, first=0.5) for tries in (1, 2, 3, 7, 1000)] == [0.5, 1, 2, 30, 30]
