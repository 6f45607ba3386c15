"""Clarify's metrics that are no contrast of rates: representation, distances of label distributions, CDD and entropy.

Label counts are arrays of shape (..., classes), strata counts (..., strata, 2) with the favourable outcome last.
Formulas and edge rules: smclarify 0.5, bias/metrics/pretraining.py and common.py. Where Clarify raises an error (an
empty side, no class in common, only one outcome) the value is nan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from millrace.bias.division import strict_divide

if TYPE_CHECKING:
    import numpy as np

Distance = Literal["KL", "JS", "LP", "TVD", "KS"]
DISTANCES: dict[str, Distance] = {"KL": "KL", "JS": "JS", "LP": "LP", "TVD": "TVD", "KS": "KS"}


def class_imbalance(a_rows: np.ndarray, d_rows: np.ndarray) -> np.ndarray:
    """(n_a - n_d) / (n_a + n_d), shape (...)."""
    import numpy as np

    value = strict_divide(a_rows - d_rows, a_rows + d_rows)
    return np.where((a_rows == 0) | (d_rows == 0), np.nan, value)


def shares(labels: np.ndarray) -> np.ndarray:
    """Share of each class, same shape; nan where there are no rows."""
    return strict_divide(labels, labels.sum(axis=-1, keepdims=True))


def distance(kind: Distance, a: np.ndarray, d: np.ndarray) -> np.ndarray:
    """The distance of two distributions over classes, shape (...); classes that one side lacks are left out."""
    import numpy as np

    common = (a > 0) & (d > 0)
    safe_a, safe_d = np.where(common, a, 1.0), np.where(common, d, 1.0)
    if kind == "KL":
        value = (safe_a * np.log(safe_a / safe_d) * common).sum(axis=-1)
    elif kind == "JS":
        middle = (safe_a + safe_d) / 2
        terms = safe_a * np.log(safe_a / middle) + safe_d * np.log(safe_d / middle)
        value = (terms * common).sum(axis=-1) / 2
    else:
        away = np.abs(safe_a - safe_d) * common
        value = {
            "LP": lambda: np.sqrt((away**2).sum(axis=-1)),
            "TVD": lambda: away.sum(axis=-1) / 2,
            "KS": lambda: away.max(axis=-1),
        }[kind]()
    return np.where(common.any(axis=-1), value, np.nan)


def whole_support(a: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Whether every class that one side has is on the other too, shape (...)."""
    found: np.ndarray = ((a > 0) == (d > 0)).all(axis=-1)
    return found


def conditional_disparity(a: np.ndarray, d: np.ndarray) -> np.ndarray:
    """CDD over strata, shape (...): the facet's share of the refused less its share of the favoured, by stratum.

    Strata weigh by their rows; a stratum without refused, or without favoured, rows has a share of 0.
    """
    import numpy as np

    every = a + d
    share = np.where(every > 0, d / np.where(every > 0, every, 1), 0.0)
    rows = every.sum(axis=-1)
    value = strict_divide((rows * (share[..., 0] - share[..., 1])).sum(axis=-1), rows.sum(axis=-1))
    both = (every.sum(axis=-2) > 0).all(axis=-1)
    return np.where(both, value, np.nan)


def generalised_entropy(counts: np.ndarray) -> np.ndarray:
    """GE with alpha 2 over the benefit (prediction - label + 1) of everyone, shape (...), from counts (..., 2, 2).

    Half the squared coefficient of variation of the benefit; nan when every row is a false negative.
    """
    rows = counts.sum(axis=(-1, -2))
    right, given = counts[..., 0, 0] + counts[..., 1, 1], counts[..., 0, 1]
    mean = strict_divide(right + 2 * given, rows)
    square = strict_divide(right + 4 * given, rows)
    return strict_divide(square, mean**2) / 2 - 0.5
