import itertools
import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from millrace.contracts.scoring import RawEvent
from millrace.examples.events import BAD_KINDS, generate_events


def clock():
    return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def some(count, **options):
    return list(itertools.islice(generate_events(clock=clock, **options), count))


def test_the_same_seed_gives_the_same_and_another_gives_others():
    assert some(50, seed=1, bad_share=0.3) == some(50, seed=1, bad_share=0.3)
    assert some(50, seed=1) != some(50, seed=2)


def test_events_have_the_seeds_fields_and_ids_of_their_own():
    events = [json.loads(one.value) for one in some(500, seed=3)]
    assert set(events[0]) == {"event_id", "ts", "user_id", "channel", "lang", "text"}
    assert len({one["event_id"] for one in events}) == 500
    assert len({one["channel"] for one in events}) == 5
    assert len({one["text"] for one in events}) > 200
    assert events[0]["ts"] == "2026-01-02T03:04:05Z"
    for one in some(500, seed=3):
        event = RawEvent.model_validate_json(one.value)
        assert one.key == event.user_id


def test_about_the_share_asked_for_is_bad_of_every_kind_and_nothing_of_it_is_an_event():
    found = some(5_000, seed=4, bad_share=0.2)
    bad = [one for one in found if one.bad]
    assert 0.17 < len(bad) / len(found) < 0.23
    assert {one.bad for one in bad} == set(BAD_KINDS)
    for one in bad:
        with pytest.raises(ValidationError):
            RawEvent.model_validate_json(one.value)
