"""Rows with weights that are no numbers of people: what they count, and what they are worth.

A weighted share is exact; its precision is that of fewer rows. Effective rows: (Σw)² / Σw² (L. Kish 1965, Survey
Sampling, section 11.7; right where weights do not depend on the outcome within a group, as weights for unequal chances
of being sampled mostly do not). Tests are made on effective counts, as J. Rao and A. Scott 1992 (A simple method for
the analysis of clustered binary data) have it: every group's counts are divided by its design effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from millrace.bias.figures import RowWeights

if TYPE_CHECKING:
    import numpy as np

NOT_WEIGHTED = (
    "Not measured, because rows have weights: worst subgroups, the flip test, exact and permutation tests, AUC, "
    "calibration and ABROCA. Tests are those on effective counts."
)


@dataclass(frozen=True)
class Weighted:
    """What stands behind weighted counts, entry by entry."""

    squares: np.ndarray
    """Sum of the squared weights."""
    rows: np.ndarray
    """Rows, each counted once."""

    def reshaped(self, shape: tuple[int, ...]) -> Weighted:
        """The same entries in another shape."""
        return Weighted(self.squares.reshape(shape), self.rows.reshape(shape))

    def over(self, axis: int | tuple[int, ...]) -> Weighted:
        """The entries added up over axes."""
        return Weighted(self.squares.sum(axis=axis), self.rows.sum(axis=axis))

    def total(self, group: np.ndarray, mask: np.ndarray, groups: int) -> Weighted:
        """The entries of `mask` added up by group."""
        import numpy as np

        def added(of: np.ndarray) -> np.ndarray:
            return np.bincount(group[mask], weights=of[mask], minlength=groups)

        return Weighted(added(self.squares), added(self.rows).astype(np.int64))


def effective(total: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Kish's effective rows of sums of weights and of squared weights; 0 where there are none."""
    import numpy as np

    found: np.ndarray = np.divide(total**2, squares, out=np.zeros(np.shape(total)), where=squares > 0)
    return found


def worth_of(weights: np.ndarray) -> RowWeights:
    """What rows of these weights are worth."""
    return RowWeights(len(weights), float(effective(weights.sum(), (weights**2).sum())))


def sample(successes: np.ndarray, trials: np.ndarray, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Successes and trials that have the weighted rate and the precision of as many effective rows."""
    import numpy as np

    rows = effective(trials, squares)
    share: np.ndarray = np.divide(successes, trials, out=np.zeros(np.shape(rows)), where=trials > 0)
    return share * rows, rows
