"""Reweighing: weights under which group and outcome are independent (F. Kamiran, T. Calders 2012, section 4.2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def weights(group: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Weight of each row: expected over observed share of its (group, outcome) cell. They sum to the rows."""
    import numpy as np

    wide = int(label.max(initial=0)) + 1
    cells = group * wide + label
    table = np.bincount(cells, minlength=(int(group.max(initial=0)) + 1) * wide).reshape(-1, wide)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / max(1, table.sum())
    found: np.ndarray = (expected / np.maximum(table, 1)).ravel()[cells]
    return found
