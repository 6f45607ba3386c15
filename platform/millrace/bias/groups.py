"""Groups of people: the rows of a table by one sensitive column. No row is ever dropped."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from millrace.bias.values import as_text, codes_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from millrace.bias.policy import Policy

MISSING = "(missing)"
CATEGORY_LIMIT = 10
"""A numeric column with more distinct values than this is cut into bands."""
_AGE = re.compile(r"(^|[^a-z])ages?([^a-z]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Grouping:
    """Group of each row (an index into `names`), and how the groups were made."""

    codes: np.ndarray
    names: tuple[str, ...]
    comparable: tuple[bool, ...]
    """False for the rows without a value and for the pooled rest: they are counted and shown, not compared."""
    how: str


def group_rows(column: pd.Series[Any], *, policy: Policy) -> Grouping:
    """Groups of one sensitive column: its values, or bands of a numeric or date column with many values.

    Rows without a value are the group `(missing)`, named last. Beyond `policy.maximum_groups` the smallest groups are
    pooled and the pool says how many values it holds.
    """
    import pandas as pd

    dtype = column.dtype
    banded = pd.api.types.is_datetime64_any_dtype(dtype) or (
        pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)
    )
    if banded and column.nunique() > CATEGORY_LIMIT:
        codes, names, how = _bands(column, policy)
        comparable = [True] * len(names)
    else:
        codes, names, comparable, how = _categories(column, policy)
    return _with_missing(codes, names, comparable, how)


def _categories(column: pd.Series[Any], policy: Policy) -> tuple[np.ndarray, list[str], list[bool], str]:
    import numpy as np

    codes, names, _ = codes_of(column)
    names = [f'"{name}"' if name == MISSING else name for name in names]
    if len(names) <= policy.maximum_groups:
        return codes, names, [True] * len(names), "one group for each value"
    kept = policy.maximum_groups - 1
    rest = len(names) - kept
    pooled = np.minimum(codes, kept)
    how = f"one group for each of the {kept} most frequent values; the other {rest} values are pooled and not compared"
    return pooled, [*names[:kept], f"({rest} other values)"], [True] * kept + [False], how


def _bands(column: pd.Series[Any], policy: Policy) -> tuple[np.ndarray, list[str], str]:
    import numpy as np
    import pandas as pd

    present = column.notna().to_numpy()
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        values = column[present].astype("int64").to_numpy()
        edges = np.unique(np.quantile(values, [0.25, 0.5, 0.75], method="inverted_cdf"))
        shown = [as_text(pd.Series(edges).astype(column.dtype)[index]) for index in range(len(edges))]
        how = "four bands of about equal size (quartiles)"
    else:
        values = column[present].to_numpy(dtype=float)
        if _is_age(str(column.name), values):
            edges, how = np.array(policy.age_bands, dtype=float), "age bands of the policy"
        else:
            edges = np.unique(np.quantile(values, [0.25, 0.5, 0.75], method="inverted_cdf"))
            how = "four bands of about equal size (quartiles)"
        shown = [as_text(edge) for edge in edges]
    edges, shown = _useful(edges, shown, values)
    codes = np.full(len(column), -1, dtype=np.int64)
    codes[present] = np.searchsorted(edges, values, side="right")
    names = [f"below {shown[0]}"] if shown else ["all values"]
    names += [f"{left} to below {right}" for left, right in itertools.pairwise(shown)]
    names += [f"{shown[-1]} and above"] if shown else []
    return codes, names, how


def _useful(edges: np.ndarray, shown: list[str], values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    kept = [index for index, edge in enumerate(edges) if values.min() < edge <= values.max()]
    return edges[kept], [shown[index] for index in kept]


def _is_age(name: str, values: np.ndarray) -> bool:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return bool(_AGE.search(spaced)) and values.min() >= 0 and values.max() <= 125


def _with_missing(codes: np.ndarray, names: list[str], comparable: list[bool], how: str) -> Grouping:
    import numpy as np

    if (codes < 0).any():
        codes = np.where(codes < 0, len(names), codes)
        names, comparable = [*names, MISSING], [*comparable, False]
    return Grouping(codes, tuple(names), tuple(comparable), how)
