"""Named mutants of every formula beside Clarify's (those are in test_clarify.py): each must be told from the original.

A check compares functions of a module with another implementation or a closed form. It holds for the module as it is
and must fail for every mutant of it: a formula's sign, denominator, group order or edge rule changed.
Above 300 lines because it is a table: the mutants stand beside the checks that kill them.
"""

import importlib
import inspect
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.stats.contingency import relative_risk
from sklearn import metrics

from millrace.bias.groups import Grouping
from millrace.bias.policy import shipped_policy
from millrace.bias.rates import Rates

Module = Any
Check = Callable[[Module], bool]
POLICY = shipped_policy().model_copy(update={"bootstraps": 400})
RNG = np.random.default_rng(11)
ROWS = 240
CODES = RNG.integers(0, 3, ROWS)
TRUTH = RNG.random(ROWS) < np.array([0.3, 0.5, 0.6])[CODES]
SAID = np.where(RNG.random(ROWS) < 0.25, ~TRUTH, TRUTH)
SCORES = np.round(0.3 * TRUTH + 0.7 * RNG.random(ROWS), 2)
NUMBERS = RNG.normal(5, 2, ROWS) + CODES
FORECAST = NUMBERS + RNG.normal(0.3, 1, ROWS) * (1 + CODES)
GROUPING = Grouping(CODES, ("a", "b", "c"), ("", "", ""), "as given")
EVERY = np.ones(3, dtype=bool)


def _close(found: Any, wanted: Any, tolerance: float = 1e-9) -> bool:
    return bool(np.allclose(np.asarray(found, float), np.asarray(wanted, float), atol=tolerance, equal_nan=True))


def _by_group(measure: Callable[[np.ndarray], float]) -> list[float]:
    return [measure(group == CODES) for group in range(3)]


def _rates(module: Module) -> bool:
    cells = module.count_cells(CODES, TRUTH, SAID, 3)
    wanted = {
        "accuracy": lambda rows: metrics.accuracy_score(TRUTH[rows], SAID[rows]),
        "selection_rate": lambda rows: SAID[rows].mean(),
        "true_positive_rate": lambda rows: metrics.recall_score(TRUTH[rows], SAID[rows]),
        "false_positive_rate": lambda rows: 1 - metrics.recall_score(~TRUTH[rows], ~SAID[rows]),
        "precision": lambda rows: metrics.precision_score(TRUTH[rows], SAID[rows]),
    }
    rates = {name: cells.rate(name) for name in wanted}
    found = {name: np.divide(one.successes, one.trials) for name, one in rates.items()}
    return all(_close(found[name], _by_group(measure)) for name, measure in wanted.items())


def _equalized(module: Module) -> bool:
    rows = np.array([200, 200, 200])
    odds = [
        module.Rates("true_positive_rate", None, np.array([180, 100, 150]), rows),
        module.Rates("false_positive_rate", None, np.array([20, 80, 40]), rows),
    ]
    item = module._equalized_odds(odds, GROUPING, POLICY.model_copy(update={"minimum_group": 2}))
    gaps = [np.ptp(one.successes / one.trials) for one in odds]
    first, second = (module.rate_gap(one, EVERY, kind="difference", confidence=0.975) for one in odds)
    limits = max(first.low, second.low), max(first.high, second.high)
    return _close([item.value, item.low, item.high], [max(gaps), *limits])


def _gap(module: Module) -> bool:
    rates = module.Rates("selection_rate", None, np.array([30, 60, 45]), np.array([100, 100, 100]))
    difference = module.rate_gap(rates, EVERY, kind="difference", confidence=0.95)
    ratio = module.rate_gap(rates, EVERY, kind="ratio", confidence=0.95)
    places = (difference.lowest, difference.highest) == (0, 1)
    # all pairs hold together: a sixth of 5% is left on each side of a pair
    narrow = module.rate_gap(rates, np.array([True, True, False]), kind="difference", confidence=1 - 0.05 / 3)
    inside = difference.low <= narrow.low + 1e-12 and difference.high >= narrow.high - 1e-12
    joint = _close(max(narrow.low, 0), difference.low, 0.02)
    return places and inside and joint and _close([difference.value, ratio.value], [0.3, 0.5])


def _impact(module: Module) -> bool:
    rates = module.Rates("selection_rate", None, np.array([30, 60, 5]), np.array([100, 100, 10]))
    found = module.measure_rates(rates, GROUPING, POLICY)
    values = [item.impact_ratio for item in found.values]
    return values[2] is None and _close(values[:2], [0.5, 1.0]) and _close(found.summary.overall, 95 / 210)


def _wilson(module: Module) -> bool:
    hits, rows = np.array([0, 3, 10, 81]), np.array([20, 10, 10, 263])
    low, high = module.wilson(hits, rows, module.quantile(0.95))
    exact = [stats.binomtest(int(k), int(n)).proportion_ci(method="wilson") for k, n in zip(hits, rows, strict=True)]
    empty = module.wilson(np.array([0]), np.array([0]), 1.96)
    ends = _close(low, [one.low for one in exact]) and _close(high, [one.high for one in exact])
    joint = module.quantile(0.95, 3) == pytest.approx(stats.norm.ppf(1 - 0.05 / 6))
    return ends and bool(np.isnan(empty[0][0])) and bool(joint)


def _newcombe(module: Module) -> bool:
    hits, rows = np.array([56, 48]), np.array([70, 80])
    low, high = module.wilson(hits, rows, module.quantile(0.95))
    rates = hits / rows
    found = module.difference_limits(rates[0], (low[0], high[0]), rates[1], (low[1], high[1]))
    # Newcombe 1998, table II
    return _close(found, (0.0524, 0.3339), 5e-5)


def _mover(module: Module, hits: np.ndarray, rows: np.ndarray) -> bool:
    """Donner and Zou's limits as they are printed: with the denominator below."""
    (p1, p2), (low, high) = hits / rows, module.wilson(hits, rows, module.quantile(0.95))
    (l1, l2), (u1, u2) = low, high
    lower = (p1 * p2 - np.sqrt((p1 * p2) ** 2 - l1 * u2 * (2 * p1 - l1) * (2 * p2 - u2))) / (u2 * (2 * p2 - u2))
    upper = (p1 * p2 + np.sqrt((p1 * p2) ** 2 - u1 * l2 * (2 * p1 - u1) * (2 * p2 - l2))) / (l2 * (2 * p2 - l2))
    return _close(module.ratio_limits(p1, (l1, u1), p2, (l2, u2)), (lower, upper))


def _ratio(module: Module) -> bool:
    hits, rows = np.array([3_900, 5_500]), np.array([10_000, 10_000])
    low, high = module.wilson(hits, rows, module.quantile(0.95))
    rates = hits / rows
    found = module.ratio_limits(rates[0], (low[0], high[0]), rates[1], (low[1], high[1]))
    exact = relative_risk(3_900, 10_000, 5_500, 10_000).confidence_interval(0.95)
    none = module.ratio_limits(
        np.array(0.0), (np.array(0.0), np.array(0.1)), np.array(0.5), (np.array(0.4), np.array(0.6))
    )
    unbounded = module.ratio_limits(
        np.array(0.5), (np.array(0.4), np.array(0.6)), np.array(0.0), (np.array(0.0), np.array(0.1))
    )
    few = _mover(module, np.array([12, 33]), np.array([50, 60]))
    return (
        few and _close(found, (exact.low, exact.high), 1e-3) and float(none[0]) == 0 and float(unbounded[1]) == np.inf
    )


def _judge(module: Module) -> bool:
    cases = [
        (0.8, 0.9, "higher", "pass"), (0.7, 0.79, "higher", "fail"), (0.7, 0.8, "higher", "inconclusive"),
        (0.7, 0.9, "higher", "inconclusive"), (0.1, 0.8, "lower", "pass"), (0.81, 0.9, "lower", "fail"),
        (0.8, 0.9, "lower", "inconclusive"), (None, 0.9, "higher", "not assessable"),
        (float("nan"), 0.9, "higher", "not assessable"), (0.9, 0.8, "higher", "not assessable"),
        (0.9, float("inf"), "higher", "not assessable"),
    ]  # fmt: skip
    found = [module.judge(low, high, line=0.8, better=better) for low, high, better, _ in cases]
    closed = module.judge(0.9, 1.0, line=0.8, better="higher", enough=False) == "not assessable"
    every = ["pass", "not assessable", "inconclusive", "fail"]
    order = [module.worst(every[:count]) for count in (1, 2, 3, 4)]
    return found == [case[3] for case in cases] and closed and order == every and module.worst([]) is None


def _summary(module: Module) -> bool:
    found = module.summarise(np.array([0.2, 0.5, 0.4]), 0.4)
    wanted = [0.2, 0.5, 0.3, 0.2, 0.4, 0.5]
    values = [
        found.group_min, found.group_max, found.difference, found.difference_to_overall, found.ratio,
        found.ratio_to_overall,
    ]  # fmt: skip
    above = module.summarise(np.array([0.5, 0.9]), 0.4)
    return (
        _close(values, wanted)
        and _close(above.ratio_to_overall, 0.4 / 0.9)
        and module.summarise(np.array([-1.0, 2.0]), 1.0).ratio is None
    )


def _means(module: Module) -> bool:
    means, errors, rows = module.group_means(NUMBERS, GROUPING)
    wanted = (
        _by_group(lambda inside: float(NUMBERS[inside].mean())),
        _by_group(lambda inside: stats.sem(NUMBERS[inside])),
    )
    return _close(means, wanted[0]) and _close(errors, wanted[1]) and _close(rows, np.bincount(CODES))


def _welch_limits(module: Module) -> bool:
    first, second = NUMBERS[CODES == 0], NUMBERS[CODES == 2]
    sides = (first, second)
    values, errors = (np.array([measure(side) for side in sides]) for measure in (np.mean, stats.sem))
    rows = np.array([len(side) for side in sides])
    value, low, high = module._limits(values, errors, rows, kind="difference", confidence=0.95)
    exact = stats.ttest_ind(second, first, equal_var=False).confidence_interval(0.95)
    ratio = module._limits(values, errors, rows, kind="ratio", confidence=0.95)
    spread = np.sqrt(((errors / values) ** 2).sum())
    t = stats.t.ppf(0.975, (spread**2) ** 2 / (((errors / values) ** 4) / (rows - 1)).sum())
    gap = np.log(values[0] / values[1])
    wanted = np.exp([gap, gap - t * spread, gap + t * spread])
    return _close([value, low, high], [second.mean() - first.mean(), exact.low, exact.high]) and _close(
        ratio, [wanted[0], wanted[1], min(1.0, wanted[2])]
    )


def _errors(module: Module) -> bool:
    found = {item.metric: item.values for item in module._estimates(GROUPING, NUMBERS, FORECAST)}
    wanted = {
        "mean_prediction": lambda inside: FORECAST[inside].mean(),
        "mean_error": lambda inside: (FORECAST - NUMBERS)[inside].mean(),
        "mae": lambda inside: metrics.mean_absolute_error(NUMBERS[inside], FORECAST[inside]),
        "rmse": lambda inside: metrics.root_mean_squared_error(NUMBERS[inside], FORECAST[inside]),
    }
    # the variance of the sample stands in for that of the rows on both sides of R²
    r2 = _by_group(lambda inside: metrics.r2_score(NUMBERS[inside], FORECAST[inside]))
    return all(_close(found[name], _by_group(measure)) for name, measure in wanted.items()) and _close(
        found["r2"], r2, 1e-6
    )


def _delong(module: Module) -> bool:
    value, error = module.delong(SCORES, TRUTH)
    cases, others = SCORES[TRUTH], SCORES[~TRUTH]
    above = (cases[:, None] > others) + 0.5 * (cases[:, None] == others)
    spread = above.mean(axis=1).var(ddof=1) / len(cases) + above.mean(axis=0).var(ddof=1) / len(others)
    certain = module.delong(np.array([1.0, 2, 3, 4]), np.array([False, False, True, True]))
    return _close([value, error], [metrics.roc_auc_score(TRUTH, SCORES), spread**0.5]) and bool(np.isnan(certain[1]))


def _calibration(module: Module) -> bool:
    counts, means = np.array([[8, 2], [4, 6]]), np.array([0.1, 0.8])
    wanted = (10 * abs(0.2 - 0.1) + 10 * abs(0.6 - 0.8)) / 20
    found = module.reliability_by_group(SCORES, TRUTH, GROUPING, EVERY, policy=POLICY, seed=0)
    first = SCORES[CODES == 0]
    places = np.floor(np.minimum(first * 10, 9.5))
    exact = [
        (inside.sum(), first[inside].mean(), TRUTH[CODES == 0][inside].mean())
        for inside in (places == place for place in np.unique(places))
    ]
    shown = [(bin_.rows, bin_.score, bin_.rate) for bin_ in found[0].bins]
    signed = module.calibration_error(np.array([[9, 1], [1, 9]]), np.array([0.5, 0.5]))
    return _close(module.calibration_error(counts, means), wanted) and _close(shown, exact) and _close(signed, 0.4)


def _abroca(module: Module) -> bool:
    curves = [
        (np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.5, 1.0])),
        (np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.9, 1.0])),
    ]
    at = (np.arange(20_000) + 0.5) / 20_000
    wanted = np.abs(np.interp(at, *curves[0]) - np.interp(at, *curves[1])).mean()
    false, true, _ = metrics.roc_curve(TRUTH, SCORES, drop_intermediate=False)
    ours = module.roc(SCORES, TRUTH)
    return _close(module.area_between(*curves), wanted, 1e-4) and _close(ours[0], false) and _close(ours[1], true)


def _macro(module: Module) -> bool:
    parts = [
        Rates("precision", None, np.array([30]), np.array([40])),
        Rates("precision", None, np.array([10]), np.array([50])),
    ]
    found = module.macro_average("macro", parts, np.array([90]))
    centres = np.array([32 / 44, 12 / 54])
    error = np.sqrt((centres * (1 - centres) / [40, 50]).sum()) / 2
    return _close([found.values[0], found.errors[0]], [(0.75 + 0.2) / 2, error])


def _weights(module: Module) -> bool:
    """Three rows of weight 2 and one of weight 6: 12² / 48 effective rows, of which those of the rate's share."""
    hits, trials, squares = np.array([6.0, 0.0]), np.array([12.0, 0.0]), np.array([48.0, 0.0])
    found = module.sample(hits, trials, squares)
    return _close(module.effective(trials, squares), [3, 0]) and _close(found, [[1.5, 0], [3, 0]])


def _distances(module: Module) -> bool:
    found = module.distributions_by_group(
        FORECAST, FORECAST - NUMBERS, GROUPING, EVERY, deviation=2.0, policy=POLICY, seed=0
    )
    first = CODES == 0
    wanted = stats.wasserstein_distance(FORECAST[first], FORECAST[~first])
    middle = np.median((FORECAST - NUMBERS)[first])
    even = np.array([[[5, 0, 5], [0, 10, 0]]])
    binned = module._binned(even, np.array([0.0, 1.0, 4.0]))
    # half of the rows lie below the others by 1, half above by 3
    return _close(
        [found[0].wasserstein, found[0].deviations, found[0].quantiles[2]], [wanted, wanted / 2, middle]
    ) and (_close(binned, [0.5 * 1 + 0.5 * 3]))


def _scan(module: Module) -> bool:
    def fit(hits: int, rows: int) -> float:
        return float(stats.binom.logpmf(hits, rows, hits / rows) - stats.binom.logpmf(hits, rows, 40 / 100))

    low = module.scan_score(np.array([5]), np.array([30]), 40, 100)
    high = module.scan_score(np.array([25]), np.array([30]), 40, 100)
    return _close(low, fit(5, 30) + fit(35, 70)) and _close(high, 0)


def _adjust(module: Module) -> bool:
    p = [0.01, 0.04, 0.03, 0.005]
    return (
        _close(module.holm(p), [0.03, 0.06, 0.06, 0.02])
        and _close(module.benjamini_hochberg(p), [0.02, 0.04, 0.04, 0.02])
        and _close(module.benjamini_hochberg([0.021, 0.01, 0.5, 0.02]), [0.028, 0.028, 0.5, 0.028])
        and _close(module.holm([0.6, 0.7]), [1.0, 1.0])
    )


def _tests(module: Module) -> bool:
    hits, rows = np.array([30, 60, 45]), np.array([100, 120, 90])
    pooled = 90 / 220
    z = (0.5 - 0.3) / np.sqrt(pooled * (1 - pooled) * (1 / 100 + 1 / 120))
    g = stats.chi2_contingency(np.stack([hits, rows - hits]), correction=False, lambda_="log-likelihood").pvalue
    pair = stats.fisher_exact([[30, 70], [60, 60]]).pvalue
    permuted = module.permutation_p(np.array([1, 9]), np.array([10, 10]), permutations=4_000, seed=0)
    exact = stats.fisher_exact([[1, 9], [9, 1]]).pvalue
    few = module._exact_or_g(np.array([1, 2, 1]), np.array([4, 5, 4]))
    return (
        _close(module.z_test_p(hits, rows), min(1, 2 * stats.norm.sf(z) * 3))
        and module._exact_or_g(hits, rows) == ("G", pytest.approx(g))
        and module._exact_or_g(hits[:2], rows[:2]) == ("Fisher exact", pytest.approx(pair))
        and few == ("none", None)
        and _close(permuted, exact, 2e-3)
        and permuted > 0
    )


def _power(module: Module) -> bool:
    z = stats.norm.ppf(0.975)
    first, second, trials = 0.5, 0.3, (200, 150)
    pooled = (first * trials[0] + second * trials[1]) / sum(trials)
    without = np.sqrt(pooled * (1 - pooled) * (1 / trials[0] + 1 / trials[1]))
    spread = np.sqrt(first * (1 - first) / trials[0] + second * (1 - second) / trials[1])
    wanted = stats.norm.cdf((0.2 - z * without) / spread)
    gap = module.smallest_gap(0.5, trials, z)
    found = module.power_of_gap(gap, 0.5, trials, z)
    downward = module.power_of_gap(0.2, 0.6, trials, z) == pytest.approx(module.power_of_gap(0.2, 0.4, trials, z), 0.05)
    steep = module.power_of_gap(0.2, 0.25, trials, z) > module.power_of_gap(0.2, 0.6, trials, z)
    return downward and steep and _close(module.power_of_gap(0.2, 0.5, trials, z), wanted) and _close(found, 0.8, 1e-6)


def _resampled(module: Module) -> bool:
    counts = np.array([[30, 70], [10, 40]])
    drawn = module.resample(counts, draws=4_000, seed=0)
    kept = bool((drawn.sum(axis=-1) == [100, 50]).all())
    spread = drawn[:, :, 0].std(axis=0)
    exact = np.sqrt([100 * 0.3 * 0.7, 50 * 0.2 * 0.8])
    low, high = module.percentiles(np.arange(1001.0)[:, None], 0.95)
    missing = np.where(np.arange(100) < 10, np.nan, 1.0)[:, None]
    limits = module.percentiles(missing, 0.95)
    return (
        kept and _close(spread, exact, 0.15) and _close([low[0], high[0]], [25, 975]) and bool(np.isnan(limits[0][0]))
    )


def _scoring(module: Module) -> bool:
    found = module.scoring_rates(NUMBERS, GROUPING)
    return _close(found.successes, [(NUMBERS[group == CODES] > np.median(NUMBERS)).sum() for group in range(3)]) and (
        _close(found.trials, np.bincount(CODES))
    )


CHECKS: dict[str, tuple[str, Check]] = {
    "rates of cells": ("confusion", _rates),
    "equalized odds": ("confusion", _equalized),
    "gap": ("rates", _gap),
    "weights": ("weights", _weights),
    "impact ratio": ("rates", _impact),
    "wilson": ("intervals", _wilson),
    "newcombe": ("intervals", _newcombe),
    "ratio limits": ("intervals", _ratio),
    "judge": ("verdicts", _judge),
    "summary": ("summaries", _summary),
    "means": ("numbers", _means),
    "welch limits": ("estimates", _welch_limits),
    "errors": ("errors_by_group", _errors),
    "delong": ("auc", _delong),
    "calibration": ("calibration", _calibration),
    "abroca": ("abroca", _abroca),
    "macro": ("macro", _macro),
    "distributions": ("distributions", _distances),
    "scan": ("subgroups", _scan),
    "adjustments": ("significance", _adjust),
    "tests": ("significance", _tests),
    "power": ("power", _power),
    "resampling": ("resampling", _resampled),
    "scoring rate": ("scoring_rates", _scoring),
}
MUTANTS: dict[str, tuple[str, str, str]] = {
    "effective rows without the square": ("weights", "np.divide(total**2, squares", "np.divide(total, squares"),
    "effective rows are the sum of weights": (
        "weights",
        "np.divide(total**2, squares",
        "np.divide(total * squares, squares",
    ),
    "effective successes of all trials": ("weights", "return share * rows, rows", "return share * trials, rows"),
    "accuracy counts errors": (
        "rates of cells",
        "(every, self.truth == self.predicted)",
        "(every, self.truth != self.predicted)",
    ),
    "selection rate of the label": (
        "rates of cells",
        '"selection_rate": (every, said)',
        '"selection_rate": (every, actual)',
    ),
    "selection rate over the selected": (
        "rates of cells",
        '"selection_rate": (every, said)',
        '"selection_rate": (said, said)',
    ),
    "true positive rate over the selected": ("rates of cells", "(actual, actual & said)", "(said, actual & said)"),
    "true positive rate counts the missed": ("rates of cells", "(actual, actual & said)", "(actual, actual & ~said)"),
    "false positive rate over the selected": ("rates of cells", "(~actual, ~actual & said)", "(said, ~actual & said)"),
    "false positive rate counts the refused": (
        "rates of cells",
        "(~actual, ~actual & said)",
        "(~actual, ~actual & ~said)",
    ),
    "precision over the favourable": ("rates of cells", "(said, actual & said)", "(actual, actual & said)"),
    "precision counts false positives": ("rates of cells", "(said, actual & said)", "(said, ~actual & said)"),
    "equalized odds is the smaller": ("equalized odds", "max(known, key=", "min(known, key="),
    "equalized odds at the whole risk": ("equalized odds", "1 - (1 - policy.confidence) / 2", "policy.confidence"),
    "equalized odds: lower limit of the smaller": ("equalized odds", "max(gap.low for", "min(gap.low for"),
    "equalized odds: upper limit of the smaller": ("equalized odds", "max(gap.high for", "min(gap.high for"),
    "difference: sign": ("gap", "values[largest] - values[smallest]", "values[smallest] - values[largest]"),
    "ratio: upside down": ("gap", "values[smallest] / values[largest]", "values[largest] / values[smallest]"),
    "gap: lowest and highest swapped": (
        "gap",
        "int(where[smallest]), int(where[largest])",
        "int(where[largest]), int(where[smallest])",
    ),
    "gap: pairs not held together": (
        "gap",
        "quantile(confidence, len(where) * (len(where) - 1) // 2)",
        "quantile(confidence)",
    ),
    "impact ratio over the whole": ("impact ratio", "successes / trials / top", "successes / trials"),
    "impact ratio of groups not compared": ("impact ratio", "if chosen[index] and top > 0", "if top > 0"),
    "overall is a mean of rates": (
        "impact ratio",
        "np.divide(rates.successes.sum(), rates.trials.sum())",
        "(rates.successes / rates.trials).mean()",
    ),
    "wilson: centre": ("wilson", "(rate + z**2 / (2 * trials))", "(rate + z**2 / trials)"),
    "wilson: denominator": ("wilson", "/ (1 + z**2 / trials)\n        half", "\n        half"),
    "wilson: width": ("wilson", "rate * (1 - rate) / trials", "rate * (1 - rate)"),
    "wilson: no trials": ("wilson", "none = trials == 0", "none = trials < 0"),
    "one-sided quantile": ("wilson", "(2 * comparisons)", "comparisons"),
    "newcombe: sign": ("newcombe", "gap = first - second", "gap = second - first"),
    "newcombe: limits of the same side": (
        "newcombe",
        "(second_limits[1] - second) ** 2",
        "(second_limits[0] - second) ** 2",
    ),
    "newcombe: not squared": ("newcombe", "lower = gap - np.sqrt(", "lower = gap - ("),
    "ratio limits: upside down": ("ratio limits", "product = first * second", "product = second / first"),
    "ratio limits: lower from the upper": (
        "ratio limits",
        "product**2 - first_low * second_high",
        "product**2 - first_high * second_low",
    ),
    "ratio limits: a rate of zero": (
        "ratio limits",
        "(first_low == 0) & np.isfinite(second_low), 0.0, lower",
        "(first_low == 0) & np.isfinite(second_low), 0.5, lower",
    ),
    "ratio limits: unbounded": (
        "ratio limits",
        "np.isfinite(first_high), np.inf, upper",
        "np.isfinite(first_high), 0.0, upper",
    ),
    "the line itself is bad": ("judge", "low >= line", "low > line"),
    "the line itself fails": ("judge", "high < line", "high <= line"),
    "direction ignored": ("judge", 'if better == "lower"', 'if better == "neither"'),
    "not enough passes": ("judge", "if not enough or low", "if low"),
    "nan passes": ("judge", "math.isfinite(low) and ", ""),
    "infinity passes": ("judge", "math.isfinite(high) and ", ""),
    "turned interval passes": ("judge", " or low > high", ""),
    "doubt outweighs failure": ("judge", '("fail", "inconclusive",', '("inconclusive", "fail",'),
    "summary: difference to overall": ("summary", "np.abs(values - overall).max()", "np.abs(values - overall).min()"),
    "summary: ratio": ("summary", "ratio=smallest / largest", "ratio=largest / smallest"),
    "summary: sign change has a ratio": ("summary", "largest > 0 and smallest >= 0", "largest > 0"),
    "summary: above the overall": ("summary", "np.divide(1, ratios", "np.divide(ratios, 1"),
    "means: degrees of freedom": ("means", "/ (rows - 1)", "/ rows"),
    "means: error of one row": (
        "means",
        "np.where(rows > 1, variances, np.nan) / rows",
        "np.where(rows > 1, variances, np.nan)",
    ),
    "welch: standard errors added": ("welch limits", "parts = errors**2", "parts = errors"),
    "welch: one-sided": ("welch limits", "(1 - confidence) / (2 * pairs)", "(1 - confidence) / pairs"),
    "welch: freedom": ("welch limits", "parts**2 / (rows - 1))[:, None]", "parts**2 / rows)[:, None]"),
    "ratio on the plain scale": ("welch limits", "errors / values, np.log(values)", "errors, np.log(values)"),
    "mean error: sign": ("errors", "error = predicted - truth", "error = truth - predicted"),
    "mae: not absolute": ("errors", "group_means(np.abs(error), grouping)", "group_means(error, grouping)"),
    "rmse: not rooted": ("errors", "rmse = np.sqrt(square)", "rmse = square"),
    "r2: upside down": ("errors", "1 - square / variance", "1 - variance / square"),
    "r2: one mean for everyone": ("errors", "centre[grouping.codes]", "truth.mean()"),
    "auc: turned around": (
        "delong",
        "cases, others = scores[positive], scores[~positive]",
        "others, cases = scores[positive], scores[~positive]",
    ),
    "auc: denominator": ("delong", "rankdata(cases)) / n", "rankdata(cases)) / m"),
    "delong: other side": ("delong", "below.var(ddof=1) / n", "below.var(ddof=1) / m"),
    "delong: certainty": ("delong", 'if variance > 0 else float("nan")', "if variance > 0 else 0.0"),
    "ece: signed": (
        "calibration",
        "away = abs(counts[..., 1] - rows * scores)",
        "away = counts[..., 1] - rows * scores",
    ),
    "ece: unweighted": ("calibration", "rows * scores)", "scores)"),
    "reliability: rate of the others": (
        "calibration",
        "counts[group, bin_, 1] / rows",
        "counts[group, bin_, 0] / rows",
    ),
    "abroca: signed": ("abroca", "size = np.abs(start) + np.abs(stop)", "size = start + stop"),
    "abroca: crossing": ("abroca", "crosses = start * stop < 0", "crosses = start * stop > 1"),
    "roc: axes swapped": (
        "abroca",
        "_curve(np.cumsum(~positive)[last], np.cumsum(positive)[last])",
        "_curve(np.cumsum(positive)[last], np.cumsum(~positive)[last])",
    ),
    "roc: lowest first": ("abroca", "np.argsort(-scores", "np.argsort(scores"),
    "macro: sum": ("macro", ".mean(axis=0)", ".sum(axis=0)"),
    "macro: error of the sum": ("macro", "/ len(rates)", "/ 1"),
    "wasserstein: residuals": (
        "distributions",
        "wasserstein(numbers[inside], numbers[~inside])",
        "wasserstein(residuals[inside], residuals[~inside])",
    ),
    "wasserstein: everyone": ("distributions", "numbers[~inside]", "numbers"),
    "wasserstein: deviations": ("distributions", "value / deviation if", "value * deviation if"),
    "residual quantiles of predictions": (
        "distributions",
        "np.quantile(residuals[inside]",
        "np.quantile(numbers[inside]",
    ),
    "binned distance: signed": ("distributions", "np.abs(shares[:, 0, :-1]", "(shares[:, 0, :-1]"),
    "scan: higher instead of lower": (
        "scan",
        "lower = hits * (total_rows - rows) <",
        "lower = hits * (total_rows - rows) >",
    ),
    "scan: everyone as outside": (
        "scan",
        "fit(total_hits - hits, total_rows - rows)",
        "fit(total_hits - hits, total_rows)",
    ),
    "holm: not stepwise": ("adjustments", "len(p) - place for", "len(p) for"),
    "holm: falling": ("adjustments", "rising=True", "rising=False"),
    "bh: rising": ("adjustments", "rising=False", "rising=True"),
    "adjusted above one": ("adjustments", "np.minimum(steps, 1.0)", "steps"),
    "z: unpooled": ("tests", "pooled * (1 - pooled)", "pooled"),
    "z: one pair": ("tests", "* pairs)", ")"),
    "z: one-sided": ("tests", "2 * stats.norm.sf", "stats.norm.sf"),
    "permutation: observed left out": (
        "tests",
        "(1 + (gaps >= observed).sum()) / (1 + permutations)",
        "(gaps > observed + 1).sum() / permutations",
    ),
    "permutation: other tail": ("tests", "gaps >= observed", "gaps <= observed"),
    "G where counts are small": ("tests", "expected.min() < SMALLEST_EXPECTED", "expected.min() < 0"),
    "Pearson instead of G": ("tests", 'lambda_="log-likelihood"', 'lambda_="pearson"'),
    "Fisher one-sided": ("tests", "fisher_exact(table)", 'fisher_exact(table, alternative="less")'),
    "power: pooled spread": ("power", "(gap - z * without) / spread", "(gap - z * without) / without"),
    "power: sign": ("power", "gap - z * without", "gap + z * without"),
    "power: other above": (
        "power",
        "rate - gap if rate >= gap else rate + gap",
        "rate + gap if rate + gap <= 1 else rate - gap",
    ),
    "resamples: groups mixed": (
        "resampling",
        "flat / np.maximum(rows, 1)[:, None]",
        "flat / flat * np.full_like(flat, 1.0, dtype=float) / flat.shape[1]",
    ),
    "percentiles: half the tail": ("resampling", "tail = (1 - confidence) / 2", "tail = (1 - confidence) / 4"),
    "percentiles: gaps ignored": ("resampling", "> UNDEFINED_LIMIT", "> 1"),
    "scoring rate: below the median": ("scoring rate", "numbers > np.median", "numbers < np.median"),
    "scoring rate: above the mean": ("scoring rate", "np.median(numbers)", "np.mean(numbers)"),
    "scoring rate: over all rows": (
        "scoring rate",
        "successes, grouping.rows",
        "successes, grouping.rows * 0 + len(numbers)",
    ),
}


def _module(name: str, old: str = "", new: str = "") -> types.ModuleType:
    module = importlib.import_module(f"millrace.bias.{name}")
    source = inspect.getsource(module)
    assert not old or old in source, f"{old!r} is not in {name}"
    changed = types.ModuleType(module.__name__)
    changed.__file__ = module.__file__
    text = source.replace(old, new) if old else source
    exec(compile(text, str(Path(str(module.__file__))), "exec"), changed.__dict__)
    return changed


def _holds(check: Check, module: types.ModuleType) -> bool:
    with np.errstate(all="ignore"):
        try:
            return check(module)
        except (ValueError, ZeroDivisionError, AttributeError, TypeError, KeyError):
            # a mutant that cannot even be computed is told from the original as well
            return False


@pytest.mark.parametrize("name", CHECKS)
def test_the_check_holds_for_the_formula_as_it_is(name: str) -> None:
    module, check = CHECKS[name]
    with np.errstate(all="ignore"):
        assert check(_module(module))


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_killed(name: str) -> None:
    checked, old, new = MUTANTS[name]
    module, check = CHECKS[checked]
    assert not _holds(check, _module(module, old, new))


def test_every_check_has_mutants() -> None:
    assert {checked for checked, _, _ in MUTANTS.values()} == set(CHECKS)
