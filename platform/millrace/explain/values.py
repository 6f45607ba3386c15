"""How cells and figures are written into an explanation."""

import math
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

ColumnKind = Literal["number", "category", "date"]
MISSING = "missing"
TEXT_LIMIT = 200
LARGEST = 1e300
"""JSON has no infinity."""


def rounded(value: float) -> float:
    """Twelve significant digits: below them, the order in which threads add up shows."""
    return float(f"{float(value):.12g}") + 0.0


def power_above(value: float) -> float:
    """The smallest power of ten that is not below the value; 0 for 0."""
    return 0.0 if value == 0 else float(f"1e{math.ceil(math.log10(value))}")


def column_kind(column: "pd.Series[Any]") -> ColumnKind:
    """How a column is grouped and drawn."""
    from pandas.api import types

    if types.is_bool_dtype(column):
        return "category"
    if types.is_numeric_dtype(column):
        return "number"
    if types.is_datetime64_any_dtype(column):
        return "date"
    present = column.dropna()
    if len(present) and all(isinstance(value, date) for value in present):
        return "date"
    return "category"


def as_numbers(column: "pd.Series[Any]", kind: ColumnKind) -> Any:
    """A float64 array: numbers (infinities as LARGEST), or seconds since 1970; NaN where there is no value."""
    import numpy as np
    import pandas as pd

    if kind == "number":
        return np.clip(column.to_numpy(dtype="float64", na_value=np.nan), -LARGEST, LARGEST)
    moments = pd.to_datetime(column, errors="coerce", utc=True).dt.tz_localize(None).to_numpy(dtype="datetime64[s]")
    return np.where(np.isnat(moments), np.nan, moments.astype("int64").astype("float64"))


def cell_text(value: Any) -> str:
    """A cell as text."""
    import numpy as np
    import pandas as pd

    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, bool | np.bool_):
        return str(value).lower()
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return f"{float(value):.6g}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds").removesuffix(" 00:00:00")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)[:TEXT_LIMIT]


def number_text(value: float, kind: ColumnKind) -> str:
    """An edge of a bin as text."""
    from datetime import UTC

    if kind == "date":
        return datetime.fromtimestamp(value, UTC).date().isoformat()
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
