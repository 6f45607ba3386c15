"""Correlation remover: features less what a linear regression on the sensitive ones predicts of them.

M. Feldman 2015 in spirit, as fairlearn's CorrelationRemover computes it; written as one matrix, so that a saved model
needs nothing but NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def removal_matrix(matrix: np.ndarray, sensitive: tuple[int, ...]) -> np.ndarray:
    """M of shape (columns, columns - sensitive): `matrix @ M` has no linear correlation with the sensitive columns.

    The product differs from fairlearn's by a constant in each column, which no fitted model notices.
    """
    import numpy as np

    others = [column for column in range(matrix.shape[1]) if column not in set(sensitive)]
    found = np.zeros((matrix.shape[1], len(others)))
    found[others, np.arange(len(others))] = 1.0
    centred = matrix[:, list(sensitive)] - matrix[:, list(sensitive)].mean(axis=0)
    found[list(sensitive)] = -np.linalg.lstsq(centred, matrix[:, others], rcond=None)[0]
    return found
