"""The order of waiting runs."""

from hypothesis import given
from hypothesis import strategies as st

from warm_runs.lanes import Lanes


def test_lanes_take_turns() -> None:
    lanes = Lanes()
    for run_id in ("a1", "a2", "a3"):
        lanes.put("a", run_id)
    lanes.put("b", "b1")
    assert [lanes.take() for _ in range(5)] == ["a1", "b1", "a2", "a3", None]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 10_000)), unique_by=lambda item: item[1]))
def test_every_run_comes_once_and_in_order_within_its_lane(puts: list[tuple[str, int]]) -> None:
    lanes = Lanes()
    for lane, number in puts:
        lanes.put(lane, f"{lane}{number}")
    assert len(lanes) == len(puts)
    taken = [run_id for run_id in iter(lanes.take, None)]
    for lane in "abc":
        assert [one for one in taken if one.startswith(lane)] == [f"{x}{n}" for x, n in puts if x == lane]
    assert len(taken) == len(puts)


def test_a_discarded_run_is_not_taken() -> None:
    lanes = Lanes()
    lanes.put("a", "a1")
    assert lanes.discard("a1")
    assert not lanes.discard("a1")
    assert lanes.take() is None


def test_a_run_that_may_not_start_keeps_its_place_and_holds_up_no_other() -> None:
    lanes = Lanes()
    for lane, run_id in (("a", "a1"), ("a", "a2"), ("b", "b1")):
        lanes.put(lane, run_id)
    assert [lanes.take(lambda run_id: run_id != "a1") for _ in range(3)] == ["a2", "b1", None]
    assert lanes.waiting() == ["a1"]


def test_a_run_that_is_put_back_is_the_next() -> None:
    lanes = Lanes()
    for lane, run_id in (("a", "a1"), ("a", "a2"), ("b", "b1")):
        lanes.put(lane, run_id)
    taken = lanes.take()
    assert taken == "a1"
    lanes.put_back("a", taken)
    assert [lanes.take() for _ in range(4)] == ["a1", "b1", "a2", None]
