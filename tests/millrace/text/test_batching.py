import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.text.batching import plan_batches


@given(st.lists(st.integers(1, 512), max_size=200), st.integers(1, 2048), st.integers(1, 64))
def test_each_text_is_in_one_batch_and_no_batch_is_above_the_budget(lengths, budget, most):
    batches = plan_batches(lengths, budget=budget, most_rows=most)
    assert sorted(at for batch in batches for at in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[at] for at in batch)
        assert padded <= budget or len(batch) == 1
        assert len(batch) <= most


def test_like_lengths_are_together_so_that_little_is_padding():
    lengths = [5, 60] * 50
    batches = plan_batches(lengths, budget=300, most_rows=64)
    padding = sum(sum(max(lengths[at] for at in batch) - lengths[at] for at in batch) for batch in batches)
    assert padding <= 60
    assert plan_batches([]) == []


@pytest.mark.parametrize("lengths", [[9], [600], [600, 1]])
def test_a_text_above_the_budget_is_a_batch_of_its_own(lengths):
    assert all(len(batch) == 1 for batch in plan_batches(lengths, budget=512) if lengths[batch[-1]] > 512)
