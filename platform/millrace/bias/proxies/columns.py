"""Columns as few codes (for information) and as numbers (for a forest)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from millrace.bias.values import codes_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

DISTINCT_SHARE = 0.5
DISTINCT_VALUES = 50
"""A text column with more distinct values than this, and than DISTINCT_SHARE of its rows, is an identifier or text."""


@dataclass(frozen=True)
class Column:
    """One column: its numbers, nan where missing, and whether their order means something."""

    name: str
    numbers: np.ndarray
    ordered: bool


def read_columns(frame: pd.DataFrame, leave: frozenset[str]) -> tuple[list[Column], tuple[tuple[str, str], ...]]:
    """The columns that can tell something, and those left out with the reason; `leave` are not even named."""
    found: list[Column] = []
    left_out: list[tuple[str, str]] = []
    for place, label in enumerate(frame.columns):
        name = str(label)
        if name in leave:
            continue
        column, reason = _read(name, frame.iloc[:, place])
        if column is None:
            left_out.append((name, reason))
        else:
            found.append(column)
    return found, tuple(left_out)


def _read(name: str, column: pd.Series[Any]) -> tuple[Column | None, str]:
    import numpy as np
    import pandas as pd

    if column.notna().sum() == 0:
        return None, "no value in any row"
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        numbers = np.where(column.notna(), column.astype("int64").to_numpy(dtype=float), np.nan)
        ordered = True
    elif pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        # a forest works in single precision
        numbers = np.clip(column.to_numpy(dtype=float, na_value=np.nan), -1e30, 1e30)
        ordered = True
    else:
        codes, names, _ = codes_of(column)
        if len(names) > DISTINCT_VALUES and len(names) > DISTINCT_SHARE * len(column):
            return None, f"an identifier or free text: {len(names):,} different values"
        numbers, ordered = np.where(codes < 0, np.nan, codes.astype(float)), False
    if len(np.unique(numbers)) < 2:
        return None, "the same value in every row"
    return Column(name, numbers, ordered), ""


def coded(column: Column, *, most: int) -> np.ndarray:
    """The column in at most `most` codes 0, 1, … and one more for missing values.

    Ordered values fall into bands of about equal size; of others the most frequent stay and the rest are pooled.
    """
    import numpy as np

    present = np.isfinite(column.numbers)
    values = column.numbers[present]
    codes = np.zeros(len(present), dtype=np.int64)
    if column.ordered and len(np.unique(values)) > most:
        edges = np.unique(np.quantile(values, np.arange(1, most) / most, method="inverted_cdf"))
        codes[present] = np.searchsorted(edges, values, side="right")
    elif column.ordered:
        codes[present] = np.unique(values, return_inverse=True)[1]
    else:
        # codes of text are ranks by frequency already
        codes[present] = np.minimum(values.astype(np.int64), most - 1)
    codes[~present] = codes.max(initial=0) + 1
    return np.unique(codes, return_inverse=True)[1]


def matrix_of(columns: list[Column]) -> np.ndarray:
    """The columns side by side, shape (rows, columns), nan where missing."""
    import numpy as np

    return np.column_stack([column.numbers for column in columns])
