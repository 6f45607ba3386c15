"""What a sample could have found, and how large one would have to be to settle a doubt.

Power of the pooled two-proportion z-test: J. Fleiss, B. Levin, M. Paik 2003, chapter 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

from millrace.bias.verdicts import Better, judge

USUAL_POWER = 0.8
"""Convention: four gaps of that size in five would be found."""
MOST_TIMES = 10_000.0
"""A sample that many times as large is no advice."""
_NORMAL = NormalDist()


def power_of_gap(gap: float, rate: float, trials: tuple[int, int], z: float) -> float:
    """Chance that a gap of two rates is found; the higher, or else the lower, of them is `rate`.

    `z` is the test's two-sided normal quantile; with several comparisons, Bonferroni's.
    """
    other = rate - gap if rate >= gap else rate + gap
    if not 0 <= other <= 1:
        return math.nan
    first, second = trials
    pooled = (rate * first + other * second) / (first + second)
    without = math.sqrt(pooled * (1 - pooled) * (1 / first + 1 / second))
    spread = math.sqrt(rate * (1 - rate) / first + other * (1 - other) / second)
    if spread == 0:
        return 1.0 if gap > z * without else 0.0
    return _NORMAL.cdf((gap - z * without) / spread)


def smallest_gap(rate: float, trials: tuple[int, int], z: float, power: float = USUAL_POWER) -> float | None:
    """Smallest gap that is found with that power; None when even the largest possible one is not."""
    low, high = 0.0, max(rate, 1 - rate)
    if not power_of_gap(high, rate, trials, z) >= power:
        return None
    for _ in range(40):
        middle = (low + high) / 2
        if power_of_gap(middle, rate, trials, z) >= power:
            high = middle
        else:
            low = middle
    return high


def rows_to_settle(
    limits: Callable[[float], tuple[float, float] | None], *, line: float, better: Better, rows: int
) -> int | None:
    """Rows at which an inconclusive interval would leave the line, if the figures stayed as they are.

    `limits` gives the interval of a sample so many times as large. None when not even `MOST_TIMES` as many rows do.
    """

    def settled(times: float) -> bool:
        found = limits(times)
        return found is not None and judge(*found, line=line, better=better) in {"pass", "fail"}

    if not settled(MOST_TIMES):
        return None
    low, high = 0.0, math.log(MOST_TIMES)
    for _ in range(16):
        middle = (low + high) / 2
        if settled(math.exp(middle)):
            high = middle
        else:
            low = middle
    return math.ceil(rows * math.exp(high))
