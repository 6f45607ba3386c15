"""The one place where an interval becomes a verdict."""

import math
from collections.abc import Iterable
from typing import Literal

from millrace.contracts.stages import Verdict

Better = Literal["higher", "lower"]


def judge(low: float | None, high: float | None, *, line: float, better: Better, enough: bool = True) -> Verdict:
    """The verdict of a whole interval against a line.

    `pass` when every value of the interval is on the good side (the line itself is good), `fail` when none is,
    `inconclusive` when the line lies inside. `not assessable` when the data are not enough, when an end is absent or
    not a finite number, or when the ends are in the wrong order: what could not be measured never passes.
    """
    if not enough or low is None or high is None:
        return "not assessable"
    if not (math.isfinite(low) and math.isfinite(high) and math.isfinite(line)) or low > high:
        return "not assessable"
    if better == "lower":
        low, high, line = -high, -low, -line
    if low >= line:
        return "pass"
    return "fail" if high < line else "inconclusive"


def worst(verdicts: Iterable[Verdict]) -> Verdict | None:
    """The verdict of several together: the first of fail, inconclusive, not assessable, pass that occurs.

    None when there is none: nothing was judged, and that is not a pass.
    """
    found = set(verdicts)
    order: tuple[Verdict, ...] = ("fail", "inconclusive", "not assessable", "pass")
    return next((verdict for verdict in order if verdict in found), None)
