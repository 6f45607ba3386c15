"""Tables of counts: a row that stands for several people becomes as many rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from millrace.bias.table import require_column
from millrace.contracts.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

MOST_PEOPLE = 20_000_000
"""Rows after the expansion; every figure of so many is measured in about a minute."""


def expand_counts(frame: pd.DataFrame, name: str) -> tuple[pd.DataFrame, str]:
    """The table with each row as often as the column says, without the column, and a note of what was done.

    Frequency weights only: a weight of a survey is no number of people, and intervals from it would be too narrow.

    Raises:
        BadInput: there is no such column, a value is missing, negative, infinite or no whole number, or the sum is
            zero or too large.
    """
    import numpy as np
    import pandas as pd

    column = require_column(frame, name, field="weights")
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float)
    wrong = ~np.isfinite(numbers) | (numbers < 0) | (numbers != np.floor(numbers))
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise BadInput(
            f"weight {str(column.iloc[first])[:40]!r} in row {first + 1} is no number of people",
            field="weights",
            remedy="give whole numbers from 0 on: how many people a row stands for. Survey weights cannot be used",
        )
    total = float(numbers.sum())
    if not 0 < total <= MOST_PEOPLE:
        raise BadInput(
            f"the weights of column {name[:80]!r} sum to {total:.0f}",
            field="weights",
            remedy=f"the sum must lie between 1 and {MOST_PEOPLE:,}",
        )
    repeats = numbers.astype(np.int64)
    expanded = frame.iloc[np.repeat(np.arange(len(frame)), repeats)].reset_index(drop=True)
    nobody = int((repeats == 0).sum())
    note = (
        f"{len(frame):,} rows stand for {int(total):,} people (column {name}); rows that stand for nobody: {nobody:,}."
    )
    return expanded.drop(columns=name), note
