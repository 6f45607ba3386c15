"""What is known of a table's columns without looking at the rows again."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

ColumnType = Literal["integer", "number", "boolean", "date", "timestamp", "text"]

TOP_VALUES = 10
"""Most frequent values kept for a column."""


class ValueCount(BaseModel):
    """A value, as text, and the rows that have it."""

    model_config = ConfigDict(frozen=True)

    value: str
    count: int


class ColumnProfile(BaseModel):
    """One column. `minimum` and `maximum` are text in the column's own order; `mean` and `stddev` are for numbers."""

    model_config = ConfigDict(frozen=True)

    name: str
    type: ColumnType
    null_count: int
    distinct_count: int
    """Distinct values, missing ones left out."""
    minimum: str | None = None
    maximum: str | None = None
    mean: float | None = None
    stddev: float | None = None
    """Sample standard deviation."""
    missing_as: dict[str, int] | None = None
    """What stood in the file for the missing values: text → cells, empty cells and cells of spaces as the empty text.
    None for a table that was read before this was counted."""
    top: tuple[ValueCount, ...] = ()
    """The most frequent values, up to ten, the most frequent first; equal counts in the order of the text."""


class Profile(BaseModel):
    """All columns of a table, in its order."""

    model_config = ConfigDict(frozen=True)

    columns: tuple[ColumnProfile, ...]
    row_count: int
    duplicate_rows: int
    """Rows that repeat an earlier one in every column."""
