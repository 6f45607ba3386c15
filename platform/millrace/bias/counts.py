"""A column of weights: numbers of people become as many rows, other weights go with the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millrace.bias.table import require_column
from millrace.bias.weights import worth_of
from millrace.contracts.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

MOST_PEOPLE = 20_000_000
"""Rows after the expansion; every figure of so many is measured in about a minute."""


def expand_counts(frame: pd.DataFrame, name: str) -> tuple[pd.DataFrame, str]:
    """The table with each row as often as the column says, without the column, and a note of what was done.

    Frequency weights only: see `read_weights` for those of a survey.

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
            remedy="give whole numbers from 0 on: how many people a row stands for",
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


def are_people(column: pd.Series[Any]) -> bool:
    """Whether the column holds whole numbers only, which are numbers of people."""
    import numpy as np
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float)
    return bool((np.isfinite(numbers) & (numbers == np.floor(numbers))).all())


def read_weights(frame: pd.DataFrame, name: str) -> tuple[pd.DataFrame, np.ndarray, str]:
    """The table without the column, the weight of each row with a mean of 1, and a note of what they are worth.

    Raises:
        BadInput: there is no such column, or a weight is missing, negative, infinite or all of them are zero.
    """
    import numpy as np
    import pandas as pd

    column = require_column(frame, name, field="weights")
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float)
    wrong = ~np.isfinite(numbers) | (numbers < 0)
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise BadInput(
            f"weight {str(column.iloc[first])[:40]!r} in row {first + 1} is no weight",
            field="weights",
            remedy="give a number from 0 on for every row",
        )
    if not numbers.sum() > 0:
        raise BadInput(f"the weights of column {name[:80]!r} are all 0", field="weights", remedy="name another column")
    numbers = numbers / numbers.mean()
    note = (
        f"Rows have weights (column {name}): every rate and share is weighted, and {len(frame):,} rows are worth "
        f"{worth_of(numbers).effective_rows:,.0f} without weights (Kish's effective sample size)."
    )
    return frame.drop(columns=name), numbers, note
