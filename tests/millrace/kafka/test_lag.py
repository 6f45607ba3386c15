import time

import pytest
from confluent_kafka import Producer

from millrace.contracts.errors import CannotReach
from millrace.kafka.clients import producer_config
from millrace.kafka.lag import lag_of
from millrace.kafka.processor import Output
from millrace.kafka.stream_loop import StreamLoop
from millrace.kafka.stream_options import StreamOptions

pytestmark = pytest.mark.broker


class Copy:
    def __init__(self, out):
        self.out = out

    def process(self, batch):
        return [(Output(self.out, record.value, record.key),) for record in batch]


def test_a_group_that_has_committed_nothing_is_behind_by_all_there_is(broker_settings, make_topic, send):
    topic = make_topic(partitions=2)
    send(topic, b"1", b"2", b"3", partition=1, timestamp=int((time.time() - 100) * 1000))
    empty, full = lag_of(broker_settings, f"g-{topic}", [topic, "no-such-topic"])
    assert (empty.records, empty.seconds, empty.committed, empty.end) == (0, 0.0, None, 0)
    assert (full.topic, full.partition, full.records, full.committed) == (topic, 1, 3, None)
    assert 99 < full.seconds < 130


def test_what_is_committed_counts_no_more_and_the_age_is_that_of_the_first_that_waits(
    broker_settings, make_topic, send
):
    topic, out = make_topic(), make_topic()
    send(topic, b"old", timestamp=int((time.time() - 500) * 1000))
    send(topic, b"new", b"newer", timestamp=int((time.time() - 50) * 1000))
    options = StreamOptions(group=f"g-{topic}", topics=(topic,), interval=0.02)
    StreamLoop(broker_settings, options, Copy(out)).run(count=1, timeout=30)
    (lag,) = lag_of(broker_settings, options.group, [topic])
    assert (lag.committed, lag.end, lag.records) == (1, 3, 2)
    assert 49 < lag.seconds < 80
    StreamLoop(broker_settings, options, Copy(out)).run(count=2, timeout=30)
    (lag,) = lag_of(broker_settings, options.group, [topic])
    assert (lag.records, lag.seconds) == (0, 0.0)


def test_a_transactions_marker_alone_is_no_lag(broker_settings, make_topic):
    topic, out = make_topic(), make_topic()
    producer = Producer(producer_config(broker_settings, transactional_id=topic))
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(topic, b"one")
    producer.commit_transaction(20)
    options = StreamOptions(group=f"g-{topic}", topics=(topic,), interval=0.02)
    assert [one.records for one in lag_of(broker_settings, options.group, [topic])] == [2]
    StreamLoop(broker_settings, options, Copy(out)).run(count=1, timeout=30)
    (lag,) = lag_of(broker_settings, options.group, [topic])
    assert (lag.committed, lag.end) == (1, 2)
    assert (lag.records, lag.seconds) == (0, 0.0)


def test_a_broker_that_is_away_is_said_to_be(make_settings, tmp_path):
    with pytest.raises(CannotReach, match="lag of group g "):
        lag_of(make_settings(tmp_path), "g", ["t"])
