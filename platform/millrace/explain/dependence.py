"""Effect of a column by its value."""

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from millrace.explain.result import Bin, Dependence
from millrace.explain.values import MISSING, ColumnKind, as_numbers, cell_text, number_text, rounded

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, Any]

BINS = 10
SEPARATE_VALUES = 12
"""A number with at most this many different values is not binned."""
GROUPS = 12
"""Categories drawn by name; the rest is one group."""


def dependence(column: "pd.Series[Any]", kind: ColumnKind, effects: "Array", predictions: "Array") -> Dependence:
    """Mean SHAP value and mean prediction by bins of nearby values, or by category."""
    groups = _categories(column) if kind == "category" else _bins(column, kind)
    bins = tuple(
        _bin(label, low, high, effects[mask], predictions[mask]) for label, low, high, mask in groups if mask.any()
    )
    return Dependence(name=str(column.name), kind=kind, bins=bins)


def _bin(label: str, low: float | None, high: float | None, effects: "Array", predictions: "Array") -> Bin:
    count = len(effects)
    error = effects.std(ddof=1) / count**0.5 if count > 1 else 0.0
    return Bin(
        label=label,
        low=None if low is None else rounded(low),
        high=None if high is None else rounded(high),
        count=count,
        effect=rounded(effects.mean()),
        standard_error=rounded(error),
        prediction=rounded(predictions.mean()),
    )


def _bins(column: "pd.Series[Any]", kind: ColumnKind) -> list[tuple[str, float | None, float | None, "Array"]]:
    import numpy as np

    numbers = as_numbers(column, kind)
    present = numbers[~np.isnan(numbers)]
    groups: list[tuple[str, float | None, float | None, Array]] = []
    for low, high, closed in _edges(present):
        if low == high:
            groups.append((number_text(low, kind), low, high, numbers == low))
            continue
        mask = (numbers >= low) & ((numbers <= high) if closed else (numbers < high))
        word = "to" if closed else "to below"
        groups.append((f"{number_text(low, kind)} {word} {number_text(high, kind)}", low, high, mask))
    groups.append((MISSING, None, None, np.isnan(numbers)))
    return groups


def _edges(present: "Array") -> list[tuple[float, float, bool]]:
    """(low, high, whether high belongs to it) of each bin: frequent values alone, the rest in equal counts."""
    import numpy as np

    distinct, counts = np.unique(present, return_counts=True)
    if len(distinct) <= SEPARATE_VALUES:
        return [(value, value, True) for value in distinct]
    frequent = distinct[counts > 2 * len(present) / BINS]
    rest = present[~np.isin(present, frequent)]
    found: list[tuple[float, float, bool]] = [(value, value, True) for value in frequent]
    limits = [-np.inf, *frequent, np.inf]
    for below, above in pairwise(limits):
        part = rest[(rest > below) & (rest < above)]
        if not len(part):
            continue
        bins = max(1, round(BINS * len(part) / len(rest)))
        # edges are values of the column, so that a bin's label is true of its rows
        edges = np.unique(np.quantile(part, np.linspace(0, 1, bins + 1), method="closest_observation"))
        edges = edges if len(edges) > 1 else np.repeat(edges, 2)
        found += [(low, high, high == edges[-1]) for low, high in pairwise(edges)]
    return sorted(found)


def _categories(column: "pd.Series[Any]") -> list[tuple[str, float | None, float | None, "Array"]]:
    import numpy as np

    absent = column.isna().to_numpy(dtype=bool)
    texts = np.array([cell_text(value) for value in column], dtype=object)
    names, counts = np.unique(texts[~absent].astype(str), return_counts=True)
    order = sorted(range(len(names)), key=lambda place: (-counts[place], names[place]))
    named = [str(names[place]) for place in order[:GROUPS]]
    groups: list[tuple[str, float | None, float | None, Array]] = [
        (name, None, None, (texts == name) & ~absent) for name in named
    ]
    if len(order) > GROUPS:
        label = f"{len(order) - GROUPS} other values"
        groups.append((label, None, None, ~np.isin(texts.astype(str), named) & ~absent))
    groups.append((MISSING, None, None, absent))
    return groups
