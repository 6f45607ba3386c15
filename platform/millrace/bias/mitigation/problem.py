"""What a mitigation works on: encoded rows to learn from, rows to judge on, and how a model is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from millrace.bias.groups import Grouping, group_rows
from millrace.bias.mitigation.names import Constraint
from millrace.contracts.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from millrace.bias.policy import Policy

OTHERS = "(everyone else)"
FEWEST = 10
"""Rows of each outcome that a group needs to be treated by itself."""


@dataclass(frozen=True)
class Rows:
    """Encoded rows with their outcome and their group."""

    matrix: np.ndarray
    """float64, shape (rows, columns)."""
    label: np.ndarray
    """Class of each row, 0 or 1."""
    group: np.ndarray
    """Group of each row, an index into the problem's `groups`."""

    def at(self, positions: np.ndarray) -> Rows:
        """Some of the rows."""
        return Rows(self.matrix[positions], self.label[positions], self.group[positions])


@dataclass(frozen=True)
class Problem:
    """A binary classification to make fairer between `groups`."""

    train: Rows
    test: Rows
    """Rows that no fit sees."""
    groups: tuple[str, ...]
    sensitive_columns: tuple[int, ...]
    """Columns of the matrix that encode the attribute; empty when the model does not read it."""
    make: Callable[[], Any]
    """An unfitted classifier of scikit-learn's kind that takes sample weights."""
    constraint: Constraint
    seed: int


def treated_groups(
    columns: pd.DataFrame, label: np.ndarray, *, policy: Policy, train: np.ndarray
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Group of each row and the groups' names: those that the reports compare, crossed where there are several columns.

    Groups that are not compared, or that have fewer than FEWEST training rows of either outcome, are one group
    together. `train` says which rows are learnt from.

    Raises:
        BadInput: fewer than two groups are left.
    """
    import numpy as np

    from millrace.bias.groups import cross

    parts = {str(name): group_rows(columns[name], policy=policy) for name in columns}
    grouping: Grouping = cross(parts, policy) if len(parts) > 1 else next(iter(parts.values()))
    size = len(grouping.names)
    table = np.bincount(grouping.codes[train] * 2 + label[train], minlength=size * 2).reshape(size, 2)
    large = grouping.rows >= policy.minimum_group
    enough = np.array(grouping.comparable, dtype=bool) & large & (table.min(axis=1) >= FEWEST)
    rest = table[~enough].sum(axis=0)
    names = [name for name, kept in zip(grouping.names, enough, strict=True) if kept]
    place = np.cumsum(enough) - 1
    if rest.min() >= FEWEST:
        place, names = np.where(enough, place, len(names)), [*names, OTHERS]
    elif (~enough).any() and enough.any():
        # too few to learn anything about: they are treated like the largest group
        largest = int(np.argmax(np.where(enough, table.sum(axis=1), -1)))
        place = np.where(enough, place, place[largest])
    if len(names) < 2:
        raise BadInput(
            f"fewer than two groups of {', '.join(parts)} have {FEWEST} training rows of either outcome",
            field="attribute",
            remedy="name another sensitive column, or measure more rows",
        )
    return place[grouping.codes], tuple(names)
