from hypothesis import given
from hypothesis import strategies as st

from millrace.streams.supervision import RunSeen, Start, ended_by_hand, plan
from millrace.streams.wanted import Wanted

NOW = 1_000_000.0


def wanted(number=1, **more):
    return Wanted("score_events", wanted=number, epoch=4, **more)


def run(run_id="r", state="live", slot=0, *, generation=1, ago=0.0, lasted=10.0, epoch=4):
    return RunSeen(run_id, state, slot, epoch, generation, began=NOW - ago - lasted, ended=NOW - ago)


def test_what_is_missing_is_started_in_the_lowest_free_slots():
    made = plan(wanted(3), [run(slot=1)], now=NOW)
    assert [(one.slot, one.generation) for one in made.starts] == [(0, 1), (2, 1)]
    assert made.waits == ()


def test_a_run_that_has_no_slot_yet_counts():
    assert plan(wanted(1), [run(slot=None)], now=NOW).starts == ()


def test_the_same_situation_gives_the_same_key_and_a_later_one_another():
    before = [run(state="ended", generation=7)]
    keys = {plan(wanted(), before, now=NOW + later).starts[0].run_key for later in (0, 5, 50)}
    assert keys == {"score_events/0/4/8"}
    after = plan(wanted(), [run(state="failed", generation=8), *before], now=NOW + 1).starts[0]
    assert after.run_key == "score_events/0/4/9"


def test_a_failed_process_is_started_again_at_once_and_then_with_growing_pauses():
    failed = [run(state="failed", generation=n) for n in range(9, 0, -1)]
    assert plan(wanted(), failed[:1], now=NOW).starts
    due = []
    for count in range(2, 10):
        due.append(next(s for s in range(1000) if plan(wanted(), failed[:count], now=NOW + s).starts))
    assert due == [5, 10, 20, 40, 80, 160, 300, 300]
    waiting = plan(wanted(), failed[:3], now=NOW)
    assert waiting.waits == ("slot 0 failed 3 times in a row; the next try is in 10 s",)


def test_a_process_that_had_worked_for_long_is_not_counted_with_the_failures():
    runs = [run(state="failed", lasted=3600.0), run(state="failed"), run(state="failed")]
    assert plan(wanted(), runs, now=NOW).starts


def test_a_slot_that_waits_does_not_hold_up_another():
    failed = [run(state="failed", generation=n) for n in (5, 4, 3)]
    made = plan(wanted(2), failed, now=NOW)
    assert [one.slot for one in made.starts] == [1]
    assert len(made.waits) == 1


def test_a_halted_stream_is_left_alone():
    assert plan(wanted(3, halted="too many dead letters"), [], now=NOW).starts == ()


def test_runs_that_people_ended_count_until_they_are_recorded_and_only_since_the_last_start():
    runs = [run("a", "cancelled"), run("b", "cancelled", epoch=3), run("c", "cancelled"), run("d")]
    assert ended_by_hand(wanted(2, ended_runs=("c",)), runs) == ["a"]


@given(
    st.integers(0, 6),
    st.lists(st.tuples(st.sampled_from(["live", "ended", "failed", "cancelled"]), st.integers(0, 6)), max_size=12),
)
def test_never_more_than_wanted_and_never_two_in_a_slot(number, seen):
    live: set[int] = set()
    runs = []
    for place, (state, slot) in enumerate(seen):
        if state == "live" and slot in live:
            continue
        live |= {slot} if state == "live" else set()
        runs.append(run(f"r{place}", state, slot, generation=len(seen) - place, ago=place))
    made = plan(wanted(number), runs, now=NOW)
    slots = [one.slot for one in made.starts]
    assert len(slots) + len(live) <= max(number, len(live))
    assert len(slots) + len(made.waits) == max(0, number - len(live))
    assert len(set(slots) | live) == len(slots) + len(live)
    known = {(one.slot, one.generation) for one in runs}
    assert not any((one.slot, one.generation) in known for one in made.starts)


def test_a_key_names_stream_slot_epoch_and_generation():
    assert Start("s", 1, 2, 3).run_key == "s/1/2/3"
