"""What two models' answers on the same rows differ by: paired resamples of the counted rows.

Counts have the shape (..., groups, 2, 2, 2): [label, answer before, answer after]. A resample is a multinomial draw of
each group's cells, as everywhere in a report, so both models see the same people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millrace.bias.auc import delong
from millrace.bias.intervals import quantile
from millrace.bias.mitigation.figures import Direction, Value
from millrace.bias.resampling import percentiles, resample

if TYPE_CHECKING:
    import numpy as np

    from millrace.bias.groups import Grouping
    from millrace.bias.policy import Policy
    from millrace.bias.verdicts import Better

RATES = ("selection_rate", "true_positive_rate", "false_positive_rate", "precision", "accuracy")
NOTICEABLE = 0.01
"""A change of less than a point (of a ratio: a hundredth) closes nothing and opens nothing."""


def count_pairs(
    group: np.ndarray, groups: int, *, label: np.ndarray, before: np.ndarray, after: np.ndarray
) -> np.ndarray:
    """The counts of rows whose label and answers are true or false."""
    import numpy as np

    keys = ((group * 2 + label) * 2 + before) * 2 + after
    return np.bincount(keys, minlength=groups * 8).reshape(groups, 2, 2, 2)


def gap_changes(counts: np.ndarray, grouping: Grouping, *, policy: Policy, seed: int) -> dict[str, Value]:
    """Metric of a distance between groups → what it changes by, after less before."""
    import numpy as np

    drawn = resample(counts, draws=policy.bootstraps, seed=seed)
    found: dict[str, Value] = {}
    odds: dict[str, np.ndarray] = {}
    for metric in RATES:
        trials = np.minimum(*(_rate(side, metric)[1] for side in _sides(counts)))
        chosen = np.array(grouping.comparable, dtype=bool) & (trials >= policy.minimum_group)
        if chosen.sum() < 2:
            continue
        kinds = ("difference", "ratio") if metric == "selection_rate" else ("difference",)
        for kind in kinds:
            whole, draws = (_distance_change(one, metric, chosen, kind) for one in (counts, drawn))
            found[f"{metric}_{kind}"] = _value(whole, draws, policy.confidence)
        if metric in ("true_positive_rate", "false_positive_rate"):
            for name, one in (("whole", counts), ("drawn", drawn)):
                sides = np.stack([_distance(side, metric, chosen, "difference") for side in _sides(one)])
                odds[name] = np.maximum(odds[name], sides) if name in odds else sides
    if {"true_positive_rate_difference", "false_positive_rate_difference"} <= found.keys():
        whole, draws = (odds[name][1] - odds[name][0] for name in ("whole", "drawn"))
        found["equalized_odds_difference"] = _value(whole, draws, policy.confidence)
    return found


def accuracy_change(counts: np.ndarray, *, policy: Policy, seed: int) -> Value:
    """What the accuracy of all rows changes by."""
    drawn = resample(counts, draws=policy.bootstraps, seed=seed)
    whole, draws = (_accuracies(one) for one in (counts, drawn))
    return _value(whole, draws, policy.confidence)


def auc_change(before: np.ndarray, after: np.ndarray, positive: np.ndarray, *, confidence: float) -> Value:
    """What AUC changes by, with the interval of E. DeLong et al. 1988 for two models on the same rows."""
    import math

    from scipy.stats import rankdata

    value = delong(after, positive)[0] - delong(before, positive)[0]
    if not math.isfinite(value):
        return Value(None, None, None)
    above, below = [], []
    for scores in (before, after):
        cases, others = scores[positive], scores[~positive]
        ranks = rankdata(scores)
        above.append((ranks[positive] - rankdata(cases)) / len(others))
        below.append((ranks[~positive] - rankdata(others)) / len(cases))
    cases, others = above[1] - above[0], below[1] - below[0]
    if len(cases) < 2 or len(others) < 2:
        return Value(value, None, None)
    half = quantile(confidence) * math.sqrt(cases.var(ddof=1) / len(cases) + others.var(ddof=1) / len(others))
    return Value(value, value - half, value + half)


def direction_of(change: Value, better: Better) -> Direction:
    """Which way a gap moved for certain."""
    if change.value is None or change.low is None or change.high is None:
        return "could not check"
    if abs(change.value) < NOTICEABLE or change.low <= 0 <= change.high:
        return "unclear"
    return "closed" if (change.value > 0) == (better == "higher") else "opened"


def _sides(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(..., groups, label, answer) of the model before and of the one after."""
    return counts.sum(axis=-1), counts.sum(axis=-2)


def _rate(side: np.ndarray, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Successes and trials by group."""
    every: np.ndarray = side.sum(axis=(-1, -2))
    if metric == "selection_rate":
        return side[..., :, 1].sum(axis=-1), every
    if metric == "true_positive_rate":
        return side[..., 1, 1], side[..., 1, :].sum(axis=-1)
    if metric == "false_positive_rate":
        return side[..., 0, 1], side[..., 0, :].sum(axis=-1)
    if metric == "precision":
        return side[..., 1, 1], side[..., :, 1].sum(axis=-1)
    right: np.ndarray = side[..., 0, 0] + side[..., 1, 1]
    return right, every


def _distance(side: np.ndarray, metric: str, chosen: np.ndarray, kind: str) -> np.ndarray:
    import numpy as np

    successes, trials = (part[..., chosen] for part in _rate(side, metric))
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = successes / trials
        low, high = rates.min(axis=-1), rates.max(axis=-1)
        found: np.ndarray = high - low if kind == "difference" else low / high
    return found


def _distance_change(counts: np.ndarray, metric: str, chosen: np.ndarray, kind: str) -> np.ndarray:
    before, after = _sides(counts)
    change: np.ndarray = _distance(after, metric, chosen, kind) - _distance(before, metric, chosen, kind)
    return change


def _accuracies(counts: np.ndarray) -> np.ndarray:
    before, after = (_rate(side.sum(axis=-3), "accuracy") for side in _sides(counts))
    found: np.ndarray = after[0] / after[1] - before[0] / before[1]
    return found


def _value(whole: np.ndarray, draws: np.ndarray, confidence: float) -> Value:
    import math

    low, high = (float(one) for one in percentiles(draws, confidence))
    if not math.isfinite(float(whole)):
        return Value(None, None, None)
    known = math.isfinite(low) and math.isfinite(high)
    return Value(float(whole), low if known else None, high if known else None)
