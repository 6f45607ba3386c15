import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaConsumer, TopicPartition

from millrace.contracts import topics as names
from millrace.contracts.errors import BadInput, CannotReach
from millrace.contracts.task import Coordinates
from millrace.kafka.dead_letters import DeadLetters, build_dead_letter
from millrace.kafka.records import Record


def _record(topic="events", value=b"\xff\xfe not utf-8 \x00", key=b"u.\xe9", headers=()):
    return Record(Coordinates(topic, "id", 3, 17), key, value, headers, 1_700_000_000_000)


def _read_back(bootstrap: str, topic: str):
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, consumer_timeout_ms=10_000, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(topic, 0)])
    message = next(iter(consumer))
    consumer.close()
    return message


@given(
    value=st.none() | st.binary(),
    key=st.none() | st.binary(),
    headers=st.lists(st.tuples(st.text(), st.none() | st.binary())).map(tuple),
    message=st.text(),
)
def test_bytes_key_and_headers_are_untouched_and_the_story_follows(value, key, headers, message):
    record = _record(value=value, key=key, headers=headers)
    letter = build_dead_letter(record, stage="bias", error=BadInput(message), attempt=2, code_version="9")
    assert (letter.topic, letter.key, letter.value) == ("events.dlq", key, value)
    assert letter.headers[: len(headers)] == headers
    story = dict(letter.headers[len(headers) :])
    assert story[names.DLQ_TOPIC] == b"events"
    assert story[names.DLQ_PARTITION] == b"3"
    assert story[names.DLQ_OFFSET] == b"17"
    assert story[names.DLQ_TIMESTAMP] == b"1700000000000"
    assert story[names.DLQ_STAGE] == b"bias"
    assert story[names.DLQ_ERROR] == b"bad-input"
    assert story[names.DLQ_ATTEMPT] == b"2"
    assert story[names.DLQ_CODE_VERSION] == b"9"
    assert len(story[names.DLQ_MESSAGE].decode()) <= 2_000


@pytest.mark.broker
def test_another_client_reads_the_letter_as_it_was_sent(broker, broker_settings, make_topic):
    topic = make_topic()
    headers = (("twice", b"1"), ("twice", b"\xff"), ("none", None), ("é", "ü".encode()))
    record = _record(topic, headers=headers)
    DeadLetters(broker_settings).send(record, stage="conductor", error=BadInput("no such field"), attempt=1)
    message = _read_back(broker, f"{topic}.dlq")
    assert message.value == record.raw_value
    assert message.key == record.key
    # the other client gives an absent value as empty or None
    assert [(name, value or None) for name, value in message.headers[:4]] == [*headers]
    assert dict(message.headers)[names.DLQ_MESSAGE] == b"no such field"


@pytest.mark.broker
def test_a_message_of_two_megabytes_and_one_without_payload_are_kept(broker, broker_settings, make_topic):
    for value in (uuid.uuid4().bytes * 131_072, None):
        topic = make_topic()
        DeadLetters(broker_settings).send(_record(topic, value=value), stage="x", error=ValueError("bad"), attempt=1)
        assert _read_back(broker, f"{topic}.dlq").value == value


@pytest.mark.broker
def test_a_letter_that_is_not_acknowledged_is_an_error(broker_settings, monkeypatch):
    monkeypatch.setattr("millrace.kafka.dead_letters._SEND_SECONDS", 2.0)
    with pytest.raises(CannotReach, match=r"no-such-topic\.dlq"):
        DeadLetters(broker_settings).send(_record("no-such-topic"), stage="x", error=BadInput("bad"), attempt=1)
