"""The hold-out, as a property of any set of classes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millrace.automl.split import check_rows, positions_sha256, split
from millrace.contracts.errors import StageFailed


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(2, 60), min_size=2, max_size=8),
    st.floats(0.05, 0.5),
    st.integers(0, 10_000),
)
def test_every_class_is_on_both_sides_and_no_row_on_two(counts: list[int], share: float, seed: int) -> None:
    codes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    kept, held = split(codes, rows=len(codes), share=share, seed=seed)
    assert sorted([*kept, *held]) == list(range(len(codes)))
    for code, count in enumerate(counts):
        taken = int((codes[held] == code).sum())
        assert 1 <= taken < count
        assert abs(taken - count * share) <= 1
    again = split(codes, rows=len(codes), share=share, seed=seed)
    assert positions_sha256(again[1]) == positions_sha256(held)


def test_another_seed_holds_other_rows_out() -> None:
    first, second = (split(None, rows=1000, share=0.2, seed=seed)[1] for seed in (0, 1))
    assert len(first) == len(second) == 200
    assert 20 < len(set(first) & set(second)) < 70


def test_classes_of_one_row_are_named() -> None:
    with pytest.raises(StageFailed, match="2 of 3 classes of 'y' have a single row \\('b', 'c'\\)"):
        check_rows("y", 40, {"a": 38, "b": 1, "c": 1})
