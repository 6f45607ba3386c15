"""Scoring rates: how many of a group lie above the median of everyone (6 RCNY 5-300, "scoring rate")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from millrace.bias.rates import Rates

if TYPE_CHECKING:
    import numpy as np

    from millrace.bias.groups import Grouping


def scoring_rates(numbers: np.ndarray, grouping: Grouping) -> Rates:
    """Rows of each group above the median of all rows."""
    import numpy as np

    above = numbers > np.median(numbers)
    successes = np.bincount(grouping.codes[above], minlength=len(grouping.names))
    return Rates("scoring_rate", None, successes, grouping.rows, needs_both_outcomes=True)
