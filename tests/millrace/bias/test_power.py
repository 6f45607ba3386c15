import numpy as np
import pytest
from scipy import stats

from millrace.bias.power import MOST_TIMES, power_of_gap, rows_to_settle, smallest_gap

Z = 1.959963984540054


@pytest.mark.parametrize(
    ("rate", "gap", "trials"), [(0.6, 0.2, (100, 100)), (0.5, 0.3, (60, 30)), (0.2, 0.1, (300, 200))]
)
def test_power_agrees_with_simulation(rate: float, gap: float, trials: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    draws = 40_000
    first = rng.binomial(trials[0], rate, draws) / trials[0]
    second = rng.binomial(trials[1], rate - gap, draws) / trials[1]
    pooled = (first * trials[0] + second * trials[1]) / sum(trials)
    spread = np.sqrt(pooled * (1 - pooled) * (1 / trials[0] + 1 / trials[1]))
    found = ((first - second) > Z * spread).mean()
    assert power_of_gap(gap, rate, trials, Z) == pytest.approx(found, abs=0.02)


def test_no_gap_is_found_as_often_as_the_test_errs() -> None:
    assert power_of_gap(0.0, 0.4, (100, 200), Z) == pytest.approx(stats.norm.sf(Z))


def test_the_smallest_gap_is_the_one_found_four_times_in_five() -> None:
    gap = smallest_gap(0.5, (200, 150), Z)
    assert gap is not None
    assert power_of_gap(gap, 0.5, (200, 150), Z) == pytest.approx(0.8, abs=1e-6)
    assert smallest_gap(0.5, (3, 3), Z) is None


def test_more_rows_find_smaller_gaps() -> None:
    gaps = [smallest_gap(0.4, (rows, rows), Z) for rows in (50, 200, 800)]
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[1] / gaps[2] == pytest.approx(2, rel=0.1)


def test_rows_to_settle_follow_from_an_interval_that_shrinks_with_their_root() -> None:
    def limits(times: float) -> tuple[float, float]:
        return 0.06 - 0.1 / times**0.5, 0.06 + 0.1 / times**0.5

    # 0.06 + 0.1 / √k = 0.1 at k = 6.25
    assert rows_to_settle(limits, line=0.1, better="lower", rows=1000) == pytest.approx(6250, rel=1e-3)


def test_an_estimate_on_the_line_is_never_settled() -> None:
    assert rows_to_settle(lambda k: (0.1 - 1 / k, 0.1 + 1 / k), line=0.1, better="lower", rows=10) is None
    assert rows_to_settle(lambda k: None, line=0.1, better="lower", rows=10) is None
    assert MOST_TIMES > 1000
