"""Mutual information of codes, in nats, with its sampling error.

Bias: G. Miller 1955 (degrees of freedom over 2n). Error: the delta method on the cells' shares, as for any function of
a multinomial. Test: 2n times the information is the G statistic of independence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from millrace.bias.intervals import quantile
from millrace.bias.proxies.figures import Information

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Shared:
    """Mutual information of two codings: as counted, and what chance alone gives."""

    value: float
    error: float
    freedom: int
    rows: int
    first_entropy: float
    second_entropy: float

    @property
    def corrected(self) -> float:
        """Without what chance alone gives; may be slightly negative."""
        return self.value - self.freedom / (2 * self.rows)

    @property
    def statistic(self) -> float:
        """G, which has `freedom` degrees of freedom when there is no relation."""
        return 2 * self.rows * self.value


def shared_information(first: np.ndarray, second: np.ndarray) -> Shared:
    """Mutual information of two codings 0, 1, … of the same rows."""
    import numpy as np

    wide = int(second.max(initial=0)) + 1
    table = np.bincount(first * wide + second, minlength=(int(first.max(initial=0)) + 1) * wide).reshape(-1, wide)
    rows = int(table.sum())
    share = table / rows
    one, other = share.sum(axis=1), share.sum(axis=0)
    cells = np.nonzero(table)
    logs = np.log(share[cells] / (one[cells[0]] * other[cells[1]]))
    value = float((share[cells] * logs).sum())
    variance = float((share[cells] * logs**2).sum() - value**2)
    freedom = (int((one > 0).sum()) - 1) * (int((other > 0).sum()) - 1)
    error = float(np.sqrt(max(variance, 0.0) / rows))
    return Shared(max(value, 0.0), error, freedom, rows, _entropy(one), _entropy(other))


def _entropy(shares: np.ndarray) -> float:
    import numpy as np

    some = shares[shares > 0]
    return float(-(some * np.log(some)).sum())


def describe(feature: str, shared: Shared, *, confidence: float) -> Information:
    """What the first coding (the feature) tells about the second (the attribute); Holm's p is left open."""
    from scipy import stats

    entropy = shared.second_entropy
    half = quantile(confidence) * shared.error
    explained, low, high = (
        min(1.0, max(0.0, value / entropy)) if entropy > 0 else 0.0
        for value in (shared.corrected, shared.corrected - half, shared.corrected + half)
    )
    together = shared.first_entropy + entropy
    return Information(
        feature=feature,
        explained=explained,
        low=low,
        high=high,
        normalised=2 * shared.value / together if together > 0 else 0.0,
        p=float(stats.chi2.sf(shared.statistic, shared.freedom)) if shared.freedom else None,
        p_holm=None,
    )
