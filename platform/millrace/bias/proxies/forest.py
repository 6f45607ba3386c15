"""A random forest asked about rows that it did not see: the yardstick of what columns can tell.

Fold after fold: scikit-learn changes the filters of Python's warnings around each tree, which belong to the process.
Folds in threads beside each other left the process without any now and then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

FOLDS = 5
TREES = 40
LEAF = 20
"""Rows in a leaf: a forest of smaller leaves takes noise for knowledge."""


def unseen_chances(matrix: np.ndarray, codes: np.ndarray, *, classes: int, seed: int) -> np.ndarray:
    """Chance of each class for every row, shape (rows, classes), from forests of the other folds."""
    import numpy as np
    from sklearn.ensemble import RandomForestClassifier

    found = np.zeros((len(matrix), classes))
    for fit, held in _folds(codes, seed):
        # one thread: in several the trees are summed in any order, and the last digits differ
        forest = RandomForestClassifier(TREES, min_samples_leaf=_leaf(fit), random_state=seed, n_jobs=1)
        forest.fit(matrix[fit], codes[fit])
        found[np.ix_(held, forest.classes_)] = forest.predict_proba(matrix[held])
    return found


def unseen_numbers(matrix: np.ndarray, target: np.ndarray, *, seed: int) -> np.ndarray:
    """Predicted number for every row, from forests of the other folds."""
    import numpy as np
    from sklearn.ensemble import RandomForestRegressor

    found = np.zeros(len(matrix))
    for fit, held in _folds(None, seed, rows=len(matrix)):
        forest = RandomForestRegressor(
            TREES, min_samples_leaf=_leaf(fit), max_features=1 / 3, random_state=seed, n_jobs=1
        )
        forest.fit(matrix[fit], target[fit])
        found[held] = forest.predict(matrix[held])
    return found


def _leaf(fit: np.ndarray) -> int:
    return max(1, min(LEAF, len(fit) // 20))


def _folds(codes: np.ndarray | None, seed: int, rows: int = 0) -> list[tuple[Any, Any]]:
    """(fit, held) positions; every class is spread over the folds, whatever its size."""
    import numpy as np

    rows = rows if codes is None else len(codes)
    order = np.random.default_rng(seed).permutation(rows)
    if codes is not None:
        order = order[np.argsort(codes[order], kind="stable")]
    fold = np.empty(rows, dtype=np.int64)
    fold[order] = np.arange(rows) % FOLDS
    return [(np.flatnonzero(fold != one), np.flatnonzero(fold == one)) for one in range(FOLDS)]
