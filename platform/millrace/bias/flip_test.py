"""Clarify's flip test (FT): what the nearest neighbours among everyone else were given.

Black et al. 2020 as approximated by smclarify 0.5, bias/metrics/posttraining.py: k nearest neighbours fitted on the
predictions of everyone else, asked about the facet. Clarify refuses text; here it is one column of 0 and 1 a value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from millrace.bias.values import codes_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

NEIGHBOURS, FEW_NEIGHBOURS, FEW_ROWS = 5, 1, 9
"""Clarify's numbers: five neighbours, one when everyone else is at most nine rows."""
MOST_ROWS = 1_000
"""Rows of a side that are looked at; more are drawn by lot, or the search would take longer than all else together."""
MOST_VALUES = 20
"""Values of a text feature that get a column of their own."""


@dataclass(frozen=True)
class Flips:
    """Rows of the facet: given more than their neighbours (`up`), given less (`down`), and all that were looked at."""

    up: int
    down: int
    rows: int
    sampled: bool

    @property
    def value(self) -> float:
        """(F⁺ - F⁻) / n_d."""
        return (self.up - self.down) / self.rows


def numeric_features(features: pd.DataFrame) -> np.ndarray:
    """The features as numbers, shape (rows, columns): text as 0 and 1, gaps as the column's median.

    Nothing is scaled, as in Clarify. Text with more than `MOST_VALUES` values (names, ids) is left out.
    """
    import numpy as np
    import pandas as pd

    columns: list[np.ndarray] = []
    for place in range(features.shape[1]):
        column = features.iloc[:, place]
        if pd.api.types.is_numeric_dtype(column.dtype):
            values = column.to_numpy(dtype=float, na_value=np.nan)
            known = values[np.isfinite(values)]
            middle = float(np.median(known)) if len(known) else 0.0
            columns.append(np.where(np.isfinite(values), values, middle))
        elif not pd.api.types.is_datetime64_any_dtype(column.dtype):
            codes, distinct, _ = codes_of(column)
            if len(distinct) <= MOST_VALUES:
                columns.extend((codes == code).astype(float) for code in range(len(distinct)))
    return np.column_stack(columns) if columns else np.zeros((len(features), 0))


def row_order(features: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """An order of the rows that depends on nothing but what is in them; rows that are alike are interchangeable."""
    import numpy as np
    import pandas as pd

    columns = np.column_stack([features, predicted.astype(float)])
    keys = pd.util.hash_pandas_object(pd.DataFrame(columns), index=False).to_numpy()
    order: np.ndarray = np.argsort(keys, kind="stable")
    return order


def flip_test(features: np.ndarray, facet: np.ndarray, predicted: np.ndarray, *, seed: int) -> Flips | None:
    """The flips of one facet; None without features or with an empty side.

    `features` has shape (rows, columns), `facet` and `predicted` are truth values of each row. Which
    rows are drawn, and ties between neighbours, depend on the order of the rows: see `row_order`.
    """
    import numpy as np

    if facet.all() or not facet.any() or not features.shape[1]:
        return None
    inside, outside = np.flatnonzero(facet), np.flatnonzero(~facet)
    rng = np.random.default_rng(seed)
    sampled = max(len(inside), len(outside)) > MOST_ROWS
    inside, outside = (
        np.sort(rng.choice(side, MOST_ROWS, replace=False)) if len(side) > MOST_ROWS else side
        for side in (inside, outside)
    )
    neighbours = NEIGHBOURS if len(outside) > FEW_ROWS else FEW_NEIGHBOURS
    expected, given = _expected(features[inside], features[outside], predicted[outside], neighbours), predicted[inside]
    return Flips(int((given & ~expected).sum()), int((~given & expected).sum()), len(inside), sampled)


def _expected(facet: np.ndarray, others: np.ndarray, given: np.ndarray, neighbours: int) -> np.ndarray:
    """What most of the nearest others were given, shape (rows of the facet); of neighbours as near the first ones.

    scikit-learn's neighbours are not asked: their distances differ in the last digits with the number of threads.
    """
    import numpy as np
    from scipy.spatial.distance import cdist

    distances = cdist(facet, others, "sqeuclidean")
    neighbours = min(neighbours, len(others))
    farthest = np.partition(distances, neighbours - 1, axis=1)[:, [neighbours - 1]]
    nearer, as_near = distances < farthest, distances == farthest
    left = neighbours - nearer.sum(axis=1, keepdims=True)
    chosen = nearer | (as_near & (as_near.cumsum(axis=1) <= left))
    expected: np.ndarray = (chosen & given.astype(bool)).sum(axis=1) * 2 > neighbours
    return expected
