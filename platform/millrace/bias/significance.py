"""Tests of whether groups differ at all, and their p-values adjusted for how many comparisons there are.

Fisher 1935 for two groups, the G-test for more (R. Sokal, F. Rohlf 1995), a permutation test where expected counts are
small. Holm 1979 bounds the chance of any false finding, Benjamini and Hochberg 1995 the share of false ones.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from millrace.bias.figures import Significance

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from millrace.bias.estimates import Estimates
    from millrace.bias.figures import AttributeReport, TestName
    from millrace.bias.rates import Rates

SMALLEST_EXPECTED = 5.0
"""Usual floor of expected counts below which the chi-squared approximation of G is not trusted."""


def rate_significance(rates: Rates, chosen: np.ndarray, *, permutations: int, seed: int) -> Significance:
    """The tests that a rate is the same in all chosen groups; no p-value where there is nothing to vary."""
    successes, trials = (side[chosen] for side in rates.sample)
    if len(trials) < 2 or not 0 < successes.sum() < trials.sum():
        return Significance(rates.metric, rates.outcome, "none", None, None, None)
    if rates.weighted is not None:
        # exact tests and permutations need rows that are alike
        test, p = _g(successes, trials)
        return Significance(rates.metric, rates.outcome, test, p, z_test_p(successes, trials), None)
    permuted = permutation_p(successes, trials, permutations=permutations, seed=seed)
    test, p = _exact_or_g(successes, trials)
    if p is None:
        test, p = "permutation", permuted
    return Significance(rates.metric, rates.outcome, test, p, z_test_p(successes, trials), permuted)


def estimate_significance(estimates: Estimates, chosen: np.ndarray) -> Significance:
    """Welch's test (1951) that a mean is the same in all chosen groups, from means, standard errors and rows."""
    import numpy as np
    from scipy import stats

    values, errors, rows = estimates.values[chosen], estimates.errors[chosen], estimates.rows[chosen]
    groups = len(values)
    if groups < 2 or not (errors > 0).all():
        return Significance(estimates.metric, None, "none", None, None, None)
    weights = 1 / errors**2
    share = weights / weights.sum()
    between = (weights * (values - (share * values).sum()) ** 2).sum() / (groups - 1)
    spread = ((1 - share) ** 2 / (rows - 1)).sum()
    statistic = between / (1 + 2 * (groups - 2) / (groups**2 - 1) * spread)
    p = stats.f.sf(statistic, groups - 1, (groups**2 - 1) / (3 * spread))
    return Significance(estimates.metric, None, "Welch", float(np.clip(p, 0, 1)), None, None)


def z_test_p(successes: np.ndarray, trials: np.ndarray) -> float:
    """Two-sided p-value of the pooled z-test of the pair of groups that differs most, times the number of pairs."""
    import numpy as np
    from scipy import stats

    rates = successes / trials
    pooled = (successes[:, None] + successes[None, :]) / (trials[:, None] + trials[None, :])
    spread = np.sqrt(pooled * (1 - pooled) * (1 / trials[:, None] + 1 / trials[None, :]))
    gap = np.abs(rates[:, None] - rates[None, :])
    z = np.divide(gap, spread, out=np.zeros_like(gap), where=spread > 0)
    pairs = len(trials) * (len(trials) - 1) // 2
    return float(min(1.0, 2 * stats.norm.sf(z.max()) * pairs))


def permutation_p(successes: np.ndarray, trials: np.ndarray, *, permutations: int, seed: int) -> float:
    """Share of random assignments of the outcomes to the rows with as wide a gap of rates, the observed one included.

    An assignment keeps the size of every group and the number of successes: its counts are multivariate hypergeometric.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    drawn = rng.multivariate_hypergeometric(
        trials.astype(np.int64), int(successes.sum()), size=permutations, method="marginals"
    )
    gaps = np.ptp(drawn / trials, axis=1)
    # equal gaps may differ in the last digit
    observed = np.ptp(successes / trials) - 1e-12
    return float((1 + (gaps >= observed).sum()) / (1 + permutations))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment, in the given order."""
    return _stepwise(p, [len(p) - place for place in range(len(p))], rising=True)


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's step-up adjustment, in the given order."""
    return _stepwise(p, [len(p) / (place + 1) for place in range(len(p))], rising=False)


def adjusted(attributes: Sequence[AttributeReport]) -> tuple[AttributeReport, ...]:
    """The attributes with every p-value adjusted for all comparisons of all of them together."""
    known = [one.p for attribute in attributes for one in attribute.significance if one.p is not None]
    steps = iter(zip(holm(known), benjamini_hochberg(known), strict=True))

    def with_steps(one: Significance) -> Significance:
        if one.p is None:
            return one
        p_holm, p_bh = next(steps)
        return replace(one, p_holm=p_holm, p_bh=p_bh)

    return tuple(
        replace(attribute, significance=tuple(with_steps(one) for one in attribute.significance))
        for attribute in attributes
    )


def _stepwise(p: Sequence[float], factors: Sequence[float], *, rising: bool) -> list[float]:
    import numpy as np

    order = np.argsort(p, kind="stable")
    scaled = np.asarray(p, dtype=float)[order] * np.asarray(factors, dtype=float)
    steps = np.maximum.accumulate(scaled) if rising else np.minimum.accumulate(scaled[::-1])[::-1]
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(steps, 1.0)
    return [float(value) for value in adjusted]


def _exact_or_g(successes: np.ndarray, trials: np.ndarray) -> tuple[TestName, float | None]:
    import numpy as np
    from scipy import stats

    if len(trials) == 2:
        table = np.stack([successes, trials - successes], axis=1)
        return "Fisher exact", float(stats.fisher_exact(table).pvalue)
    return _g(successes, trials)


def _g(successes: np.ndarray, trials: np.ndarray) -> tuple[TestName, float | None]:
    import numpy as np
    from scipy import stats

    table = np.stack([successes, trials - successes], axis=1)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    if expected.min() < SMALLEST_EXPECTED:
        return "none", None
    found = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood")
    return "G", float(found.pvalue)
