import threading
import time

import pytest
from confluent_kafka.admin import AdminClient

from millrace.contracts.errors import CannotReach
from millrace.kafka.clients import admin_config
from millrace.kafka.plan import Watermarks
from millrace.kafka.reader import KeptReaders, TopicReader
from millrace.kafka.topics import create_topics, describe_topics

pytestmark = pytest.mark.broker


@pytest.fixture
def open_reader(broker_settings):
    readers = []

    def make(topic: str) -> TopicReader:
        readers.append(TopicReader(broker_settings, topic))
        return readers[-1]

    yield make
    for reader in readers:
        reader.close()


def test_watermarks_and_id_are_the_brokers(broker_settings, make_topic, send, open_reader):
    topic = make_topic(partitions=3)
    send(topic, b"a", b"b", partition=1)
    reader = open_reader(topic)
    assert reader.topic_id() == describe_topics(broker_settings, [topic])[0].topic_id
    assert reader.watermarks() == {0: Watermarks(0, 0), 1: Watermarks(0, 2), 2: Watermarks(0, 0)}


def test_records_come_in_order_from_the_offsets_given_with_all_that_they_carry(make_topic, send, open_reader):
    topic = make_topic(partitions=2)
    send(topic, b"0", b"1", b"2", partition=0, key=b"k", headers=[("h", b"\xff"), ("e", "é".encode())])
    reader = open_reader(topic)
    first = reader.read({0: 1, 1: 0}, max_records=1, seconds=10)
    rest = reader.read({0: 2, 1: 0}, max_records=10, seconds=10)
    assert [(one.coordinates.partition, one.coordinates.offset, one.value) for one in first + rest] == [
        (0, 1, b"1"),
        (0, 2, b"2"),
    ]
    record = first[0]
    assert record.coordinates.topic_id == reader.topic_id()
    assert record.key == b"k"
    assert record.headers == {"h": "\ufffd", "e": "é"}
    assert record.timestamp_ms > 1_600_000_000_000


def test_a_waiting_read_ends_as_soon_as_something_comes(make_topic, send, open_reader):
    topic = make_topic()
    reader = open_reader(topic)
    timer = threading.Timer(0.5, lambda: send(topic, b"now"))
    timer.start()
    began = time.monotonic()
    assert [one.value for one in reader.read({0: 0}, max_records=5, seconds=20)] == [b"now"]
    assert time.monotonic() - began < 10
    timer.join()


def test_a_read_of_nothing_ends_at_its_deadline(make_topic, open_reader):
    reader = open_reader(make_topic())
    began = time.monotonic()
    assert reader.read({0: 0}, max_records=5, seconds=0.7) == []
    assert 0.6 < time.monotonic() - began < 5


def test_an_offset_that_is_not_there_is_an_error_and_never_skipped(make_topic, send, open_reader):
    topic = make_topic()
    send(topic, b"a")
    with pytest.raises(CannotReach, match=topic):
        open_reader(topic).read({0: 40}, max_records=5, seconds=5)


def test_records_of_a_recreated_topic_never_carry_the_old_id(broker_settings, make_topic, send, open_reader, wait_for):
    topic = make_topic()
    reader = open_reader(topic)
    old = reader.topic_id()
    admin = AdminClient(admin_config(broker_settings))
    admin.delete_topics([topic])[topic].result()
    wait_for(lambda: not describe_topics(broker_settings, [topic]))
    create_topics(broker_settings.model_copy(update={"partitions": 1}), [topic])
    send(topic, b"of the new one")
    found = reader.read({0: 0}, max_records=5, seconds=5) or reader.read({0: 0}, max_records=5, seconds=20)
    assert [one.value for one in found] == [b"of the new one"]
    assert found[0].coordinates.topic_id == reader.topic_id() != old


def test_a_missing_topic_and_an_absent_broker_are_errors(open_reader, make_settings, tmp_path, monkeypatch):
    with pytest.raises(CannotReach, match="no-such-topic"):
        open_reader("no-such-topic").topic_id()
    with pytest.raises(CannotReach, match="no-such-topic"):
        open_reader("no-such-topic").watermarks()
    monkeypatch.setattr("millrace.kafka.reader._TIMEOUT_SECONDS", 0.5)
    with TopicReader(make_settings(tmp_path), "anything") as reader, pytest.raises(CannotReach):
        reader.watermarks()


def test_a_kept_reader_reads_on_and_one_that_met_an_error_is_not_kept(broker_settings, make_topic, send):
    topic, kept = make_topic(), KeptReaders()
    with kept.borrow(broker_settings, topic) as first:
        assert first.read({0: 0}, max_records=1, seconds=0.1) == []
        # another at the same time has one of its own
        with kept.borrow(broker_settings, topic) as second:
            assert second is not first
    send(topic, b"later")
    with kept.borrow(broker_settings, topic) as again:
        assert again is first
        assert [one.value for one in again.read({0: 0}, max_records=1, seconds=10)] == [b"later"]
    with pytest.raises(ZeroDivisionError), kept.borrow(broker_settings, topic):
        raise ZeroDivisionError
    with kept.borrow(broker_settings, topic) as fresh:
        assert fresh is not first
        assert fresh.watermarks() == {0: Watermarks(0, 1)}
    with pytest.raises(RuntimeError, match="closed"):
        first.watermarks()


def test_the_reader_that_was_unused_for_longest_is_closed_when_there_are_many(broker_settings):
    kept, readers = KeptReaders(), []
    for name in [f"t{number}" for number in range(8)] + ["t0", "one more"]:
        with kept.borrow(broker_settings, name) as reader:
            readers.append(reader)
    assert readers[8] is readers[0]
    with pytest.raises(RuntimeError, match="closed"):
        readers[1].watermarks()
    with pytest.raises(CannotReach):
        readers[0].watermarks()
