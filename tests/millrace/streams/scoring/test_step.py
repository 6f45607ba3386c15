import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.contracts.errors import BadInput, TooLarge
from millrace.contracts.scoring import Score, ScoredEvent
from millrace.contracts.task import Coordinates
from millrace.kafka.records import Record
from millrace.streams.scoring.step import ScoringStep

GOOD = {
    "event_id": "1234-5678", "ts": "2025-08-30T16:30:00Z", "user_id": "42", "channel": "web", "lang": "en",
    "text": "This app is fantastic!",
}  # fmt: skip


class Lengths:
    """A scorer that gives each text its length."""

    name, version, kind = "lengths", "1", "probability"

    def __init__(self):
        self.calls = []

    def score(self, texts):
        self.calls.append(list(texts))
        return [Score(f"L{len(text)}", 0.75, {f"L{len(text)}": 0.75, "OTHER": 0.25}) for text in texts]


def record(value, offset=0, key=b"42"):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Record(Coordinates("events.raw", "tid", 1, offset), key, raw)


@pytest.fixture
def scorer():
    return Lengths()


@pytest.fixture
def step(scorer):
    return ScoringStep(scorer, topic="events.scored")


def test_the_output_has_the_seeds_fields_and_where_it_came_from(step):
    ((output,),) = step.process([record(GOOD, offset=9)])
    told = json.loads(output.value)
    assert (output.topic, output.key) == ("events.scored", b"42")
    assert {name: told[name] for name in GOOD} == GOOD
    assert (told["sentiment"], told["sentiment_score"], told["ai_model"]) == ("L22", 0.75, "lengths")
    assert told["ai_ts"].endswith("Z")
    assert told["label_scores"] == {"L22": 0.75, "OTHER": 0.25}
    assert (told["score_kind"], told["model_version"]) == ("probability", "1")
    assert told["source"] == {"topic": "events.raw", "topic_id": "tid", "partition": 1, "offset": 9}
    assert ScoredEvent.model_validate(told).model_dump() == told


def test_a_batch_is_scored_in_one_call_and_what_is_bad_keeps_its_place(step, scorer):
    results = step.process([record(GOOD), record(b"\xff\xfe"), record({**GOOD, "text": "abc"}), record({"a": 1})])
    assert scorer.calls == [["This app is fantastic!", "abc"]]
    assert [isinstance(one, BadInput) for one in results] == [False, True, False, True]
    assert json.loads(results[2][0].value)["sentiment"] == "L3"


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (b"", "payload"), (b"\xff\xfe\x00", "payload"), (b"{", "payload"), (b"[]", "payload"), (b"null", "payload"),
        (b"[" * 100_000, "payload"), (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, "payload"),
        ({**GOOD, "event_id": None}, "event_id"), ({**GOOD, "event_id": ""}, "event_id"),
        ({**GOOD, "text": 7}, "text"), ({**GOOD, "text": "x" * 20_001}, "text"), ({**GOOD, "ts": "yesterday"}, "ts"),
        ({**GOOD, "user_id": True}, "user_id"), ({**GOOD, "channel": "x" * 65}, "channel"),
        ({name: value for name, value in GOOD.items() if name != "text"}, "text"),
        (json.dumps(GOOD).encode("utf-16"), "payload"),
        (json.dumps({**GOOD, "text": "?"}).replace("?", "\\ud800").encode(), "payload"),
    ],
)  # fmt: skip
def test_what_is_no_event_is_refused_with_the_field_at_fault(step, value, field):
    (result,) = step.process([record(value)])
    assert isinstance(result, BadInput)
    assert result.field == field
    assert len(str(result)) < 500


def test_a_payload_above_the_largest_is_not_even_parsed(step):
    (result,) = step.process([record(b'"' + b"x" * 1_000_001)])
    assert isinstance(result, TooLarge)


def test_numbers_are_taken_for_ids_and_unknown_fields_are_left_out(step):
    ((output,),) = step.process([record({**GOOD, "user_id": 42, "extra": {"deep": [1]}})])
    told = json.loads(output.value)
    assert told["user_id"] == "42"
    assert "extra" not in told


@pytest.mark.parametrize(
    ("given_ts", "written"),
    [
        ("2025-08-30T16:30:00Z", "2025-08-30T16:30:00Z"),
        ("2025-08-30T18:30:00+02:00", "2025-08-30T16:30:00Z"),
        ("2025-08-30T16:30:00.123456", "2025-08-30T16:30:00.123Z"),
    ],
)
def test_moments_are_written_in_utc(step, given_ts, written):
    ((output,),) = step.process([record({**GOOD, "ts": given_ts})])
    assert json.loads(output.value)["ts"] == written


@given(st.text(max_size=200))
def test_any_text_comes_out_as_it_went_in(text):
    ((output,),) = ScoringStep(Lengths(), topic="t").process([record({**GOOD, "text": text})])
    assert json.loads(output.value)["text"] == text


@given(st.binary(max_size=300))
def test_any_bytes_are_an_event_or_refused(value):
    (result,) = ScoringStep(Lengths(), topic="t").process([record(value)])
    assert isinstance(result, BadInput)
