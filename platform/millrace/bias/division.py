"""Division and subtraction over counts with the edge rules of SageMaker Clarify, and without them.

Clarify (smclarify 0.5, bias/metrics/common.py): 0/0 is 0, x/0 is infinite; two infinite terms differ by 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    Divide = Callable[[np.ndarray, np.ndarray], np.ndarray]


def clarify_divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """The quotients, 0 for 0/0 and infinite for x/0; never nan for finite input."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = np.asarray(numerator / denominator, dtype=float)
    return np.where((denominator == 0) & (numerator == 0), 0.0, quotient)


def strict_divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """The quotients, nan where there is nothing to divide by: such a figure could not be measured."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = np.asarray(numerator / denominator, dtype=float)
    return np.where(denominator == 0, np.nan, quotient)


def subtract(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """first - second, 0 where both are the same infinity."""
    import numpy as np

    with np.errstate(invalid="ignore"):
        gap: np.ndarray = first - second
    return np.where(np.isinf(first) & (first == second), 0.0, gap)
