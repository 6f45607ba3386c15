import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from millrace.bias.estimates import Estimates
from millrace.bias.figures import AttributeReport, Significance
from millrace.bias.rates import Rates
from millrace.bias.significance import (
    adjusted,
    benjamini_hochberg,
    estimate_significance,
    holm,
    permutation_p,
    rate_significance,
    z_test_p,
)

ps = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def _tested(successes: list[int], trials: list[int], permutations: int = 999) -> Significance:
    rates = Rates("selection_rate", None, np.array(successes), np.array(trials))
    return rate_significance(rates, np.ones(len(trials), bool), permutations=permutations, seed=0)


def test_two_groups_are_tested_as_fisher_did() -> None:
    found = _tested([12, 3], [20, 19])
    assert (found.test, found.p) == ("Fisher exact", pytest.approx(stats.fisher_exact([[12, 8], [3, 16]]).pvalue))


def test_several_groups_are_tested_by_g() -> None:
    found = _tested([50, 60, 40], [100, 110, 120])
    expected = 2 * sum(
        observed * np.log(observed / (row * column / 330))
        for successes, row in zip([50, 60, 40], [100, 110, 120], strict=True)
        for observed, column in ((successes, 150), (row - successes, 180))
    )
    assert found.test == "G"
    assert found.p == pytest.approx(stats.chi2.sf(expected, 2))


def test_the_z_test_is_the_pooled_one_times_the_pairs() -> None:
    pooled = 90 / 200
    z = (60 - 30) / 100 / np.sqrt(pooled * (1 - pooled) * (2 / 100))
    assert z_test_p(np.array([60, 30]), np.array([100, 100])) == pytest.approx(2 * stats.norm.sf(z))
    three = z_test_p(np.array([60, 30, 45]), np.array([100, 100, 100]))
    assert three == pytest.approx(3 * 2 * stats.norm.sf(z))


def test_few_rows_in_several_groups_are_permuted() -> None:
    found = _tested([5, 0, 1], [6, 5, 7])
    assert found.test == "permutation"
    assert found.p == found.p_permutation


def test_permutations_agree_with_the_exact_distribution() -> None:
    # two groups: the gap is a function of a hypergeometric count, so its tail has a closed form
    successes, trials = np.array([9, 3]), np.array([15, 15])
    counts = np.arange(0, 13)
    gaps = np.abs(counts - (12 - counts)) / 15
    exact = stats.hypergeom.pmf(counts, 30, 12, 15)[gaps >= 6 / 15 - 1e-12].sum()
    found = permutation_p(successes, trials, permutations=20_000, seed=1)
    assert found == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20_000))


def test_without_bias_permutation_p_values_are_no_smaller_than_they_say() -> None:
    rng = np.random.default_rng(2)
    found = [
        permutation_p(rng.binomial(40, 0.4, 3), np.array([40, 40, 40]), permutations=199, seed=seed)
        for seed in range(600)
    ]
    assert np.mean(np.array(found) <= 0.05) <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 600)


def test_what_does_not_vary_has_no_p_value() -> None:
    for found in (_tested([0, 0], [10, 10]), _tested([10, 10], [10, 10]), _tested([4], [10])):
        assert (found.test, found.p, found.p_z, found.p_permutation) == ("none", None, None, None)


@given(ps)
def test_benjamini_hochberg_equals_scipys(p: list[float]) -> None:
    np.testing.assert_allclose(benjamini_hochberg(p), stats.false_discovery_control(p), atol=1e-12)


def test_holms_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(ps)
def test_holm_lies_between_the_raw_value_and_bonferronis(p: list[float]) -> None:
    for raw, found in zip(p, holm(p), strict=True):
        assert raw <= found <= min(1.0, raw * len(p)) + 1e-12
    assert all(a <= b + 1e-12 for a, b in zip(benjamini_hochberg(p), holm(p), strict=True))


def test_means_are_tested_as_welch_did() -> None:
    rng = np.random.default_rng(0)
    samples = [rng.normal(0, 1, 30), rng.normal(0.4, 2, 50), rng.normal(0, 1.5, 25)]
    estimates = Estimates(
        "mean",
        "target",
        np.array([one.mean() for one in samples]),
        np.array([one.std(ddof=1) / np.sqrt(len(one)) for one in samples]),
        np.array([len(one) for one in samples]),
    )
    found = estimate_significance(estimates, np.ones(3, bool))
    assert found.p == pytest.approx(stats.f_oneway(*samples, equal_var=False).pvalue)
    two = estimate_significance(estimates, np.array([True, True, False]))
    assert two.p == pytest.approx(stats.ttest_ind(*samples[:2], equal_var=False).pvalue)


def test_the_adjustment_is_over_all_comparisons_of_all_columns() -> None:
    def column(name: str, *p: float | None) -> AttributeReport:
        tests = tuple(Significance("selection_rate", None, "G", one, None, None) for one in p)
        return AttributeReport(name, "", (), (), (), tests)

    first, second = adjusted([column("a", 0.01, None), column("b", 0.04, 0.03, 0.005)])
    found = [one.p_holm for one in (*first.significance, *second.significance)]
    assert found == pytest.approx([0.03, None, 0.06, 0.06, 0.02])
