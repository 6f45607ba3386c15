"""Clarify's metrics that set one rate of a facet against the same rate of everyone else.

Counts are arrays of shape (..., 2, 2): [label, prediction], 1 favourable. A facet's counts are `d`, everyone else's
`a`, as in Clarify's documentation; leading axes are facets, resamples, or both at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from millrace.bias.division import clarify_divide, subtract

if TYPE_CHECKING:
    import numpy as np

    from millrace.bias.division import Divide

Cell = tuple[int, int]
"""(label, prediction)."""
How = Literal["a - d", "d - a", "d / a"]

TP: Cell = (1, 1)
FN: Cell = (1, 0)
FP: Cell = (0, 1)
TN: Cell = (0, 0)


@dataclass(frozen=True)
class Rate:
    """Rows in some cells over rows in others."""

    top: tuple[Cell, ...]
    bottom: tuple[Cell, ...]

    @property
    def is_share(self) -> bool:
        """True when the numerator is part of the denominator, so that closed intervals of proportions hold."""
        return set(self.top) <= set(self.bottom)

    def counts(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numerators and denominators, shape (...)."""
        return total(counts, self.top), total(counts, self.bottom)


@dataclass(frozen=True)
class Contrast:
    """A rate of both sides, and which is taken from, or divided by, which."""

    rate: Rate
    how: How

    def value(self, a: np.ndarray, d: np.ndarray, divide: Divide = clarify_divide) -> np.ndarray:
        """The metric, shape (...)."""
        ours, theirs = divide(*self.rate.counts(d)), divide(*self.rate.counts(a))
        if self.how == "d / a":
            return divide(ours, theirs)
        return subtract(theirs, ours) if self.how == "a - d" else subtract(ours, theirs)


def total(counts: np.ndarray, cells: tuple[Cell, ...]) -> np.ndarray:
    """Rows in the cells, shape (...)."""
    found: np.ndarray = sum(counts[..., label, said] for label, said in cells)  # type: ignore[assignment]
    return found


EVERYONE = (TP, FN, FP, TN)
CONTRASTS: dict[str, Contrast] = {
    "DPL": Contrast(Rate((TP, FN), EVERYONE), "a - d"),
    "DPPL": Contrast(Rate((TP, FP), EVERYONE), "a - d"),
    "DI": Contrast(Rate((TP, FP), EVERYONE), "d / a"),
    "DCA": Contrast(Rate((TP, FN), (TP, FP)), "a - d"),
    "DCR": Contrast(Rate((FP, TN), (FN, TN)), "d - a"),
    "RD": Contrast(Rate((TP,), (TP, FN)), "a - d"),
    "SD": Contrast(Rate((TN,), (FP, TN)), "d - a"),
    "DAR": Contrast(Rate((TP,), (TP, FP)), "a - d"),
    "DRR": Contrast(Rate((TN,), (FN, TN)), "d - a"),
    "AD": Contrast(Rate((TP, TN), EVERYONE), "a - d"),
    "TE": Contrast(Rate((FN,), (FP,)), "d - a"),
}
