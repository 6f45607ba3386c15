"""Groups of people: the rows of a table by one sensitive column. No row is ever dropped."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from millrace.bias.figures import MISSING
from millrace.bias.values import as_text, codes_of
from millrace.bias.weights import Weighted, effective
from millrace.contracts.errors import BadInput
from millrace.pages.filters import visible

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from millrace.bias.policy import Policy

NO_VALUE = "not compared: rows without a value"
POOLED = "not compared: several values pooled"
CATEGORY_LIMIT = 10
"""A numeric column with more distinct values than this is cut into bands."""
NAMED = 5
"""Values that a sentence names."""
_FEW = 0.2
"""Share of a column's distinct values, which are no numbers, up to which the others are thought to be meant as such."""
_AGE = re.compile(r"(^|[^a-z])ages?([^a-z]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Grouping:
    """Group of each row (an index into `names`), and how the groups were made."""

    codes: np.ndarray
    names: tuple[str, ...]
    remarks: tuple[str, ...]
    """Why a group is not compared: rows without a value, a pooled rest, a small share. Empty where it is."""
    how: str
    weights: np.ndarray | None = None
    """Weight of each row, where rows do not count alike."""
    edges: np.ndarray | None = None
    """Where bands begin, without the first (dates as whole numbers of their unit); None where groups are no bands."""
    note: str = ""
    """What kept a column of numbers from being cut into bands, in a sentence; empty where nothing did."""

    @property
    def comparable(self) -> tuple[bool, ...]:
        """Whether each group is one of people who can be compared; all are counted and shown."""
        return tuple(not remark for remark in self.remarks)

    @property
    def rows(self) -> np.ndarray:
        """Rows of each group."""
        import numpy as np

        counts: np.ndarray = np.bincount(self.codes, minlength=len(self.names))
        return counts

    def tally(self, keys: np.ndarray, size: int) -> tuple[np.ndarray, Weighted | None]:
        """Rows of every key 0, 1, …, shape (size,); of rows with weights their sums, and what stands behind them."""
        import numpy as np

        rows = np.bincount(keys, minlength=size)
        if self.weights is None:
            return rows, None
        total, squares = (np.bincount(keys, one, size) for one in (self.weights, self.weights**2))
        return total, Weighted(squares, rows)

    @property
    def shares(self) -> np.ndarray:
        """Share of each group in all rows, by their weights."""
        import numpy as np

        counts = self.rows if self.weights is None else np.bincount(self.codes, self.weights, len(self.names))
        found: np.ndarray = counts / max(1, counts.sum())
        return found

    @property
    def worth(self) -> np.ndarray:
        """Effective rows of each group: its rows where all count alike."""
        import numpy as np

        if self.weights is None:
            return self.rows
        total, squares = (np.bincount(self.codes, one, len(self.names)) for one in (self.weights, self.weights**2))
        return effective(total, squares)


def group_rows(column: pd.Series[Any], *, policy: Policy, weights: np.ndarray | None = None) -> Grouping:
    """Groups of one sensitive column: its values, or bands of a numeric or date column with many values.

    Rows without a value are the group `(missing)`, named last. Beyond `policy.maximum_groups` the smallest groups are
    pooled and the pool says how many values it holds.

    Raises:
        BadInput: the policy names bands of the column, which holds no numbers.
    """
    import pandas as pd

    dtype = column.dtype
    banded = pd.api.types.is_datetime64_any_dtype(dtype) or (
        pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)
    )
    named = str(column.name) in policy.bands and bool(column.notna().any())
    if named and not (banded and pd.api.types.is_numeric_dtype(dtype)):
        raise BadInput(
            f"policy {policy.name} names bands of column {str(column.name)[:80]!r}, which holds no numbers",
            field="policy",
            remedy="leave the column out of bands, or make every value of it a number",
        )
    edges, note = None, ""
    if banded and (named or column.nunique() > CATEGORY_LIMIT):
        codes, names, how, edges = _bands(column, policy)
        remarks = [""] * len(names)
    else:
        codes, names, _ = codes_of(column)
        note = _no_numbers(str(column.name), names)
        codes, names, remarks, how = _categories(codes, names, policy)
    found = replace(_with_missing(codes, names, remarks, how), weights=weights, edges=edges, note=note)
    return _small_shares(found, policy)


def _no_numbers(column: str, names: list[str]) -> str:
    others = [name for name in names if not _is_finite(name)]
    if len(names) <= CATEGORY_LIMIT or not 0 < len(others) <= len(names) * _FEW:
        return ""
    shown = ", ".join(f'"{visible(name, 40)}"' for name in others[:NAMED])
    return (
        f"{visible(column, 60)} was compared as text and not in bands, because not every value is a finite number: "
        f"{shown}. Leave such cells empty."
    )


def _is_finite(name: str) -> bool:
    try:
        return math.isfinite(float(name))
    except ValueError:
        return False


def _categories(codes: np.ndarray, names: list[str], policy: Policy) -> tuple[np.ndarray, list[str], list[str], str]:
    import numpy as np

    names = [f'"{name}"' if name == MISSING else name for name in names]
    if len(names) <= policy.maximum_groups:
        return codes, names, [""] * len(names), "one group for each value"
    kept = policy.maximum_groups - 1
    rest = len(names) - kept
    pooled = np.minimum(codes, kept)
    how = f"one group for each of the {kept} most frequent values; the other {rest} values are pooled and not compared"
    return pooled, [*names[:kept], f"({rest} other values)"], [""] * kept + [POOLED], how


def _bands(column: pd.Series[Any], policy: Policy) -> tuple[np.ndarray, list[str], str, np.ndarray]:
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
        if str(column.name) in policy.bands:
            edges, how = np.array(policy.bands[str(column.name)], dtype=float), "bands that the policy names"
        elif _is_age(str(column.name), values):
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
    return codes, names, how, edges


def _useful(edges: np.ndarray, shown: list[str], values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    kept = [index for index, edge in enumerate(edges) if values.min() < edge <= values.max()]
    return edges[kept], [shown[index] for index in kept]


def _is_age(name: str, values: np.ndarray) -> bool:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return bool(_AGE.search(spaced)) and values.min() >= 0 and values.max() <= 125


def _small_shares(grouping: Grouping, policy: Policy) -> Grouping:
    if not policy.minimum_share:
        return grouping
    small = grouping.shares < policy.minimum_share
    remark = f"not compared: below {policy.minimum_share:.0%} of the rows"
    pairs = zip(grouping.remarks, small.tolist(), strict=True)
    return replace(grouping, remarks=tuple(old or (remark if few else "") for old, few in pairs))


def _with_missing(codes: np.ndarray, names: list[str], remarks: list[str], how: str) -> Grouping:
    import numpy as np

    if (codes < 0).any():
        codes = np.where(codes < 0, len(names), codes)
        names, remarks = [*names, MISSING], [*remarks, NO_VALUE]
    return Grouping(codes, tuple(names), tuple(remarks), how)


def cross(parts: dict[str, Grouping], policy: Policy) -> Grouping:
    """Groups by several columns at once: every combination that occurs, in the order of the columns' own groups.

    A combination with a part that is not compared (no value, pooled rest) is not compared either.
    """
    import numpy as np

    codes = np.zeros(len(next(iter(parts.values())).codes), dtype=np.int64)
    for part in parts.values():
        codes = codes * len(part.names) + part.codes
    sizes = [len(part.names) for part in parts.values()]
    places, codes = np.unique(codes, return_inverse=True)
    names, remarks = [], []
    for place in places.tolist():
        at = [int(index) for index in np.unravel_index(place, sizes)]
        cells = list(zip(parts.values(), at, strict=True))
        names.append(" × ".join(part.names[index] for part, index in cells))
        remarks.append(next((part.remarks[index] for part, index in cells if part.remarks[index]), ""))
    how = f"{len(places)} of {int(np.prod(sizes))} combinations of {' and '.join(parts)} occur"
    weights = next(iter(parts.values())).weights
    return _small_shares(Grouping(codes, tuple(names), tuple(remarks), how, weights), policy)
