import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.contracts.errors import BadInput
from millrace.contracts.task import Coordinates
from millrace.kafka.dead_letters import build_dead_letter
from millrace.kafka.letters import clusters, letter_of, normalised, of_cause
from millrace.kafka.records import Record


def _letter(message, *, offset=0, topic="in", stage="scorer", at=1_000, headers=()):
    record = Record(Coordinates(topic, "id", 2, 100 + offset), b"k", b"v", headers, 500)
    sent = build_dead_letter(record, stage=stage, error=BadInput(message), attempt=3, code_version="9")
    at_dlq = Coordinates(sent.topic, "dlq-id", 0, offset)
    return letter_of(Record(at_dlq, sent.key, sent.value, sent.headers, at))


def test_a_letter_says_where_it_came_from_and_keeps_the_original_headers():
    letter = _letter("bad", offset=7, headers=(("traceparent", b"00-ab"), ("empty", None)))
    assert (letter.topic, letter.partition, letter.offset, letter.timestamp_ms) == ("in", 2, 107, 500)
    assert (letter.stage, letter.error, letter.message, letter.attempt) == ("scorer", "bad-input", "bad", "3")
    assert letter.headers == (("traceparent", b"00-ab"), ("empty", None))
    assert letter.place == "in.dlq/0/7"


@given(st.lists(st.tuples(st.text(), st.none() | st.binary()), max_size=5).map(tuple))
def test_a_message_of_somebody_else_is_a_letter_of_its_own(headers):
    letter = letter_of(Record(Coordinates("in.dlq", "id", 1, 4), None, b"x", headers, 5))
    assert (letter.topic, letter.partition, letter.offset) == ("in.dlq", 1, 4)
    assert (letter.stage, letter.error) == ("unknown", "unknown")


@pytest.mark.parametrize(
    ("message", "same"),
    [
        ("line 17 has 3 fields", "line # has # fields"),
        ("no column 'age' in 1b4e28ba-2fa1-11d2-883f-0016d3cca427", "no column '…' in #"),
        ('value "x y" is not a number', "value '…' is not a number"),
        ("not  UTF-8\n at byte 0.5", "not UTF-# at byte #"),
        ("the deadbeef of a facade", "the deadbeef of a facade"),
    ],
)
def test_what_differs_from_record_to_record_is_no_part_of_a_cause(message, same):
    assert normalised(message) == same


def test_letters_of_one_cause_are_counted_with_their_times():
    letters = [
        _letter("line 1", offset=0, at=2_000), _letter("line 2", offset=1, at=1_000), _letter("no model", offset=2),
        _letter("line 3", offset=3, stage="other"),
    ]  # fmt: skip
    found = clusters(letters, replayed=frozenset({letters[1].origin_id}))
    assert next((one.message, one.stage, one.count, one.replayed) for one in found) == ("line #", "scorer", 2, 1)
    assert {one.count for one in found[1:]} == {1}
    assert (found[0].first_at.timestamp(), found[0].last_at.timestamp()) == (1, 2)
    assert found[0].example == "in.dlq/0/0"
    assert [one.offset for one in of_cause(letters, [found[0].cause_id])] == [100, 101]
    assert list(of_cause(letters, [])) == letters


def test_the_same_offset_of_a_recreated_topic_is_another_origin():
    first = _letter("bad")
    record = Record(Coordinates("in", "id", 2, 100), b"k", b"v", (), 501)
    sent = build_dead_letter(record, stage="scorer", error=BadInput("bad"), attempt=1, code_version="9")
    second = letter_of(Record(Coordinates(sent.topic, "dlq-id", 0, 1), sent.key, sent.value, sent.headers, 9))
    assert first.origin_id != second.origin_id
