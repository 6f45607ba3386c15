"""AUC by group with DeLong's standard errors.

E. DeLong, D. DeLong, D. Clarke-Pearson 1988, computed from midranks as X. Sun and W. Xu 2014 do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millrace.bias.estimates import Estimates

if TYPE_CHECKING:
    import numpy as np

    from millrace.bias.groups import Grouping


def delong(scores: np.ndarray, positive: np.ndarray) -> tuple[float, float]:
    """AUC and its standard error; nan where there is no favourable or no unfavourable case.

    The error is nan as well where it comes out as zero (all cases in order): a sample cannot show that it is certain.
    """
    import numpy as np
    from scipy.stats import rankdata

    cases, others = scores[positive], scores[~positive]
    m, n = len(cases), len(others)
    if not m or not n:
        return float("nan"), float("nan")
    ranks = rankdata(np.concatenate([cases, others]))
    # share of the other side that each case is above, ties counting half
    above = (ranks[:m] - rankdata(cases)) / n
    below = 1 - (ranks[m:] - rankdata(others)) / m
    value = float(above.mean())
    if m < 2 or n < 2:
        return value, float("nan")
    variance = float(above.var(ddof=1) / m + below.var(ddof=1) / n)
    return value, variance**0.5 if variance > 0 else float("nan")


def auc_by_group(scores: np.ndarray, positive: np.ndarray, grouping: Grouping) -> Estimates:
    """AUC of every group with standard errors."""
    import numpy as np

    order = np.argsort(grouping.codes, kind="stable")
    edges = np.cumsum(grouping.rows)[:-1]
    found = np.array([delong(scores[rows], positive[rows]) for rows in np.split(order, edges)])
    return Estimates("auc", "share", found[:, 0], found[:, 1], grouping.rows)
