import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.kafka.plan import CURSOR_VERSION, Cursor, Gap, Watermarks, plan_tick, read_cursor, run_key

TOPIC = "bias-trigger-events"


def plan(text, watermarks, topic_id="T1"):
    return plan_tick(text, topic=TOPIC, topic_id=topic_id, watermarks=watermarks)


def stored(offsets, topic_id="T1"):
    return Cursor(topic_id, offsets).to_text()


def test_first_tick_reads_from_the_first_record_that_is_there():
    found = plan(None, {0: Watermarks(5, 9), 1: Watermarks(0, 0)})
    assert found.start == Cursor("T1", {0: 5, 1: 0})
    assert (found.waiting, found.added, found.notes) == (4, (0, 1), ())


def test_nothing_new_leaves_the_cursor_as_it_is():
    text = stored({0: 9})
    found = plan(text, {0: Watermarks(0, 9)})
    assert found.waiting == 0
    assert found.start.to_text() == text


def test_one_partition_goes_on_behind_the_last_record_read():
    found = plan(stored({0: 3}), {0: Watermarks(0, 9)})
    assert found.start.offsets == {0: 3}
    assert found.waiting == 6


def test_many_partitions_advance_apart():
    start = plan(stored({0: 3, 1: 7, 2: 0}), {p: Watermarks(0, 8) for p in range(3)}).start
    assert start.after([(0, 3), (2, 0), (2, 1), (0, 4)]).offsets == {0: 5, 1: 7, 2: 2}


def test_a_retention_gap_is_counted_and_said():
    found = plan(stored({0: 3, 1: 8}), {0: Watermarks(10, 20), 1: Watermarks(8, 8)})
    assert found.start.offsets == {0: 10, 1: 8}
    assert found.gaps == (Gap(0, 3, 9),)
    assert found.gaps[0].count == 7
    assert "7 records" in found.notes[0]
    assert "offsets 3 to 9" in found.notes[0]


def test_more_partitions_than_before_are_read_from_their_first_record():
    found = plan(stored({0: 4}), {0: Watermarks(0, 4), 1: Watermarks(0, 2)})
    assert found.start.offsets == {0: 4, 1: 0}
    assert (found.added, found.waiting, found.gaps) == ((1,), 2, ())


def test_a_recreated_topic_is_read_from_its_first_record():
    found = plan(stored({0: 400}), {0: Watermarks(0, 2)}, topic_id="T2")
    assert found.recreated
    assert found.start == Cursor("T2", {0: 0})
    assert found.waiting == 2
    assert found.gaps == ()
    assert "recreated" in found.notes[0]


def test_a_log_that_lost_its_end_is_said_and_goes_on_from_there():
    found = plan(stored({0: 40}), {0: Watermarks(0, 30)})
    assert found.start.offsets == {0: 30}
    assert found.waiting == 0
    assert "lost records" in found.notes[0]


def test_crash_after_reservation_gives_the_same_start_and_the_same_keys():
    # the runs were reserved, the cursor was not stored: the next tick begins at the old cursor again
    text = stored({0: 3, 1: 1})
    marks = {0: Watermarks(0, 5), 1: Watermarks(0, 2)}
    first, again = plan(text, marks), plan(text, {0: Watermarks(0, 9), 1: Watermarks(0, 2)})
    assert first.start == again.start
    assert keys(first.start, [(0, 3), (0, 4), (1, 1)]) == keys(again.start, [(0, 3), (0, 4), (1, 1)])


def test_replay_of_the_same_offsets_gives_identical_keys_and_another_topic_gives_others():
    read = [(0, 3), (0, 4)]
    assert keys(Cursor("T1", {}), read) == [f"{TOPIC}/T1/0/3", f"{TOPIC}/T1/0/4"]
    assert not set(keys(Cursor("T1", {}), read)) & set(keys(Cursor("T2", {}), read))


@pytest.mark.parametrize(
    "text", ["", "12", "null", "[]", "{", '{"version": 1}', '{"version": 2, "topic_id": "T1", "offsets": {}}',
             '{"version": 1, "topic_id": "T1", "offsets": {"a": 1}}', '{"version": 1, "topic_id": "T1", "offsets": 3}'],
)  # fmt: skip
def test_a_cursor_that_cannot_be_read_begins_anew_and_says_so(text):
    found = plan(text, {0: Watermarks(2, 4)})
    assert found.start.offsets == {0: 2}
    assert bool(found.notes) == bool(text)


def test_the_stored_form_is_versioned_json():
    assert json.loads(stored({1: 2, 0: 1})) == {
        "version": CURSOR_VERSION, "topic_id": "T1", "offsets": {"0": 1, "1": 2},
    }  # fmt: skip


marks = st.integers(0, 1000).flatmap(lambda low: st.integers(low, low + 1000).map(lambda high: Watermarks(low, high)))
partitions = st.dictionaries(st.integers(0, 40), marks, max_size=8)
cursors = st.none() | st.builds(
    Cursor, st.sampled_from(["T1", "T2"]), st.dictionaries(st.integers(0, 40), st.integers(0, 3000), max_size=8)
)


@given(cursors, partitions)
def test_a_plan_stays_within_what_the_broker_has_and_loses_nothing_silently(cursor, there):
    found = plan(cursor and cursor.to_text(), there)
    assert set(found.start.offsets) == set(there)
    assert all(there[p].low <= offset <= there[p].high for p, offset in found.start.offsets.items())
    assert found.waiting == sum(there[p].high - offset for p, offset in found.start.offsets.items())
    for partition, offset in found.start.offsets.items():
        known = cursor.offsets.get(partition) if cursor and cursor.topic_id == "T1" else None
        if known is None:
            assert offset == there[partition].low
        elif known < offset:
            assert Gap(partition, known, offset - 1) in found.gaps
        elif known > offset:
            assert found.notes


@given(partitions.filter(bool), st.data())
def test_planning_again_at_the_stored_cursor_changes_nothing(there, data):
    start = plan(None, there).start
    read = [(p, o) for p, first in start.offsets.items() for o in range(first, min(first + 3, there[p].high))]
    cursor = start.after(data.draw(st.permutations(read)))
    again = plan(cursor.to_text(), there)
    assert again.start == cursor
    assert again.gaps == ()
    assert read_cursor(cursor.to_text()) == cursor


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50)), max_size=20))
def test_the_cursor_never_goes_back(read):
    start = Cursor("T1", {0: 10, 1: 20})
    after = start.after(read)
    assert all(after.offsets[p] >= offset for p, offset in start.offsets.items())


def keys(cursor, read):
    return [run_key(topic=TOPIC, topic_id=cursor.topic_id, partition=p, offset=o) for p, o in read]
