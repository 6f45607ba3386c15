"""Metrics that are rates: by group with Wilson intervals, and the distances between groups."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from millrace.bias.figures import Disparity, GroupValue, Measure, Power, Unit
from millrace.bias.groups import Grouping
from millrace.bias.intervals import difference_limits, quantile, ratio_limits, wilson
from millrace.bias.policy import better as direction
from millrace.bias.power import power_of_gap, rows_to_settle, smallest_gap
from millrace.bias.summaries import summarise
from millrace.bias.verdicts import judge
from millrace.bias.weights import Weighted, sample
from millrace.bias.wording import reason, too_weak

if TYPE_CHECKING:
    import numpy as np

    from millrace.bias.policy import Policy

Kind = Literal["difference", "ratio"]
BLOCK = 256
"""Groups whose pairs are looked at together: with 8,000 groups a matrix of all pairs would take half a gigabyte."""


@dataclass(frozen=True)
class Rates:
    """One rate by group: `successes` out of `trials`, one entry per group."""

    metric: str
    outcome: str | None
    successes: np.ndarray
    trials: np.ndarray
    needs_both_outcomes: bool = False
    """True for selection rates: a target that hardly varies cannot be judged."""
    weighted: Weighted | None = None
    """What stands behind the trials where rows have weights; successes and trials are then sums of weights."""

    @property
    def sample(self) -> tuple[np.ndarray, np.ndarray]:
        """Successes and trials that the precision is that of: effective ones where rows have weights."""
        if self.weighted is None:
            return self.successes, self.trials
        return sample(self.successes, self.trials, self.weighted.squares)

    def times(self, factor: float) -> Rates:
        """The same rates of a sample so many times as large."""
        weighted = self.weighted
        if weighted is not None:
            weighted = replace(weighted, squares=weighted.squares * factor)
        return replace(self, successes=self.successes * factor, trials=self.trials * factor, weighted=weighted)


@dataclass(frozen=True)
class Gap:
    """A distance between groups, before it is judged."""

    value: float
    low: float
    high: float
    lowest: int
    highest: int


def compared(rates: Rates, grouping: Grouping, policy: Policy) -> np.ndarray:
    """Which groups take part in the comparison: named groups with enough trials."""
    import numpy as np

    chosen: np.ndarray = np.array(grouping.comparable, dtype=bool) & (rates.sample[1] >= policy.minimum_group)
    return chosen


def measure_rates(rates: Rates, grouping: Grouping, policy: Policy) -> Measure:
    """The rate of every group with its own Wilson interval; no value where there are no trials."""
    import numpy as np

    low, high = wilson(*rates.sample, quantile(policy.confidence))
    chosen = compared(rates, grouping, policy)
    known = rates.successes[chosen] / rates.trials[chosen]
    top = float(known.max(initial=0.0)) if rates.metric in {"selection_rate", "scoring_rate"} else 0.0
    values = []
    for index, name in enumerate(grouping.names):
        trials, successes = rates.trials[index].item(), rates.successes[index].item()
        some = trials > 0
        plain = rates.weighted is None
        values.append(
            GroupValue(
                group=name,
                value=successes / trials if some else None,
                low=float(low[index]) if some else None,
                high=float(high[index]) if some else None,
                rows=trials if rates.weighted is None else int(rates.weighted.rows[index]),
                count=successes if plain else None,
                compared=bool(chosen[index]),
                impact_ratio=successes / trials / top if chosen[index] and top > 0 else None,
            )
        )
    with np.errstate(invalid="ignore"):
        overall = np.divide(rates.successes.sum(), rates.trials.sum())
    summary = summarise(known, float(overall))
    return Measure(rates.metric, rates.outcome, "share", tuple(values), summary)


def rate_gap(rates: Rates, chosen: np.ndarray, *, kind: Kind, confidence: float) -> Gap | None:
    """The distance over the chosen groups, with limits that hold for all pairs together.

    A difference is largest minus smallest, a ratio smallest over largest. None with fewer than two groups, and for a
    ratio when every rate is zero.
    """
    import numpy as np

    where = np.flatnonzero(chosen)
    if len(where) < 2:
        return None
    successes, trials = (side[where] for side in rates.sample)
    values = rates.successes[where] / rates.trials[where]
    low, high = wilson(successes, trials, quantile(confidence, len(where) * (len(where) - 1) // 2))
    smallest, largest = int(np.argmin(values)), int(np.argmax(values))
    if kind == "difference":
        value = float(values[largest] - values[smallest])
    elif values[largest] > 0:
        value = float(values[smallest] / values[largest])
    else:
        return None
    limits = _all_pairs(values, low, high, kind)
    return Gap(value, min(limits[0], value), max(limits[1], value), int(where[smallest]), int(where[largest]))


def _all_pairs(values: np.ndarray, low: np.ndarray, high: np.ndarray, kind: Kind) -> tuple[float, float]:
    """The limits of the widest distance, between 0 and 1."""
    import numpy as np

    limits = difference_limits if kind == "difference" else ratio_limits
    widest = np.max if kind == "difference" else np.min
    found = []
    for start in range(0, len(values), BLOCK):
        rows = slice(start, start + BLOCK)
        own = values[rows, None], (low[rows, None], high[rows, None])
        lower, upper = limits(*own, values[None, :], (low[None, :], high[None, :]))
        apart = np.arange(len(values))[rows, None] != np.arange(len(values))[None, :]
        found.append((float(widest(lower[apart])), float(widest(upper[apart]))))
    lowest, highest = (float(widest(np.array(side))) for side in zip(*found, strict=True))
    return max(0.0, lowest), min(1.0, highest)


def rate_disparity(rates: Rates, grouping: Grouping, *, kind: Kind, policy: Policy, seed: int | None) -> Disparity:
    """The distance between the groups in one rate, judged when the policy draws a line.

    Without a seed it has neither its bootstrap interval nor the rows that would settle it, which are nine tenths of the
    work and change no verdict. An inconclusive distance is not assessable when even the policy's glaring gap would more
    likely have been missed.
    """
    metric = f"{rates.metric}_{kind}"
    line, better = policy.line(metric), direction(metric)
    chosen = compared(rates, grouping, policy)
    gap = rate_gap(rates, chosen, kind=kind, confidence=policy.confidence)
    shortage = _shortage(rates, chosen, policy)
    unit: Unit = "share" if kind == "difference" else "ratio"
    power = (
        rate_power(rates, chosen, gap, kind=kind, line=None if seed is None else line, policy=policy) if gap else None
    )
    verdict = None
    if line is not None:
        limits = (gap.low, gap.high) if gap else (None, None)
        verdict = judge(*limits, line=line, better=better, enough=shortage is None)
        if verdict == "inconclusive" and power is not None and power.glaring_gap < policy.minimum_power:
            verdict, shortage = "not assessable", too_weak(policy)
    return Disparity(
        metric=metric,
        outcome=rates.outcome,
        unit=unit,
        value=gap.value if gap else None,
        low=gap.low if gap else None,
        high=gap.high if gap else None,
        lowest=grouping.names[gap.lowest] if gap else None,
        highest=grouping.names[gap.highest] if gap else None,
        better=better,
        line=line,
        verdict=verdict,
        reason=shortage or reason(verdict, line=line, better=better, unit=unit),
        bootstrap=bootstrap(rates, chosen, kind=kind, policy=policy, seed=seed) if gap and seed is not None else None,
        power=power,
    )


def rate_power(rates: Rates, chosen: np.ndarray, gap: Gap, *, kind: Kind, line: float | None, policy: Policy) -> Power:
    """What the sample could have found between the two groups that differ most, at the comparison's own confidence.

    Without a line nothing is to be settled.
    """
    groups = int(chosen.sum())
    z = quantile(policy.confidence, groups * (groups - 1) // 2)
    worth = rates.sample[1]
    trials = int(worth[gap.highest]), int(worth[gap.lowest])
    rate = float(rates.successes[chosen].sum() / rates.trials[chosen].sum())
    # from the middle, where a gap is hardest to find
    glaring = power_of_gap(policy.glaring_gap, min(1.0, 0.5 + policy.glaring_gap / 2), trials, z)
    rows = None
    if (
        line is not None
        and groups <= BLOCK
        and judge(gap.low, gap.high, line=line, better=direction(f"_{kind}")) == "inconclusive"
    ):

        def limits(times: float) -> tuple[float, float] | None:
            found = rate_gap(rates.times(times), chosen, kind=kind, confidence=policy.confidence)
            return (found.low, found.high) if found else None

        total = int(worth[chosen].sum())
        rows = rows_to_settle(limits, line=line, better=direction(f"_{kind}"), rows=total)
    return Power(smallest_gap(rate, trials, z), glaring, rows)


def bootstrap(rates: Rates, chosen: np.ndarray, *, kind: Kind, policy: Policy, seed: int) -> tuple[float, float] | None:
    """Percentile interval over resamples within each group, drawn as counts; None when a resample has no ratio."""
    import numpy as np

    # a draw needs whole rows
    trials = rates.sample[1][chosen].astype(np.int64)
    rng = np.random.default_rng(seed)
    drawn = (
        rng.binomial(trials, rates.successes[chosen] / rates.trials[chosen], size=(policy.bootstraps, len(trials)))
        / trials
    )
    smallest, largest = drawn.min(axis=1), drawn.max(axis=1)
    if kind == "ratio" and not largest.all():
        return None
    distances = largest - smallest if kind == "difference" else smallest / largest
    tail = (1 - policy.confidence) / 2
    low, high = np.quantile(distances, [tail, 1 - tail])
    return float(low), float(high)


def _shortage(rates: Rates, chosen: np.ndarray, policy: Policy) -> str | None:
    if chosen.sum() < 2:
        return f"Fewer than two groups have {policy.minimum_group} rows or more to compare."
    if rates.needs_both_outcomes:
        hits, trials = (side[chosen].sum() for side in rates.sample)
        successes, failures = int(hits), int(trials - hits)
        if min(successes, failures) < policy.minimum_outcomes:
            return (
                f"Only {min(successes, failures)} rows have the rarer outcome; "
                f"{policy.minimum_outcomes} are needed for a comparison."
            )
    return None
