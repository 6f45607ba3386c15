"""Several classes in one figure: macro-averaged recall (balanced accuracy) and precision by group.

The mean of one-against-the-rest rates over the measured classes, each counting alike (scikit-learn, average="macro").
Standard errors treat the classes' rates as independent, given how many rows each has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millrace.bias.estimates import Estimates

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from millrace.bias.rates import Rates


def macro_average(metric: str, rates: Sequence[Rates], rows: np.ndarray) -> Estimates:
    """The mean of the rates of every class by group, with standard errors; nan where a class has nothing to count.

    Wilson's centre stands in for a rate of 0 or 1 in the standard error, which would otherwise claim certainty.
    """
    import numpy as np

    successes, trials = (np.stack([one.sample[side] for one in rates]) for side in (0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        values = (successes / trials).mean(axis=0)
        centres = (successes + 2) / (trials + 4)
        errors = np.sqrt((centres * (1 - centres) / trials).sum(axis=0)) / len(rates)
    return Estimates(metric, "share", values, np.where(np.isfinite(values), errors, np.nan), rows)
