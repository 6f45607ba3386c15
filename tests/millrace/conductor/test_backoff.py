import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.conductor.backoff import BASE_SECONDS, MAX_SECONDS, backoff_seconds


@given(st.integers(1, 10_000), st.text(max_size=40))
def test_the_wait_is_between_half_and_all_of_the_doubled_base_and_never_above_the_limit(failures: int, key: str):
    full = min(MAX_SECONDS, BASE_SECONDS * 2 ** min(failures - 1, 30))
    assert full / 2 <= backoff_seconds(failures, key=key) <= full


def test_two_conductors_wait_the_same_and_two_pipelines_do_not():
    assert backoff_seconds(3, key="pl-1") == backoff_seconds(3, key="pl-1")
    assert len({backoff_seconds(3, key=f"pl-{number}") for number in range(50)}) == 50


def test_the_jitter_uses_its_whole_range():
    shares = [backoff_seconds(1, key=str(number)) / BASE_SECONDS for number in range(2000)]
    # uniform on [1/2, 1]: mean 3/4, standard error 0.144 / sqrt(2000) = 0.0032
    assert abs(sum(shares) / len(shares) - 0.75) < 0.02
    assert min(shares) < 0.51
    assert max(shares) > 0.99


def test_there_is_no_wait_before_the_first_failure():
    with pytest.raises(ValueError, match="first failure"):
        backoff_seconds(0, key="x")
