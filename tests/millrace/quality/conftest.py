from collections.abc import Callable

import pandas as pd
import pytest

from millrace.warehouse.profile import ColumnProfile, ColumnType, Profile


def _type(column: pd.Series) -> ColumnType:
    if pd.api.types.is_bool_dtype(column):
        return "boolean"
    if pd.api.types.is_integer_dtype(column):
        return "integer"
    if pd.api.types.is_float_dtype(column):
        return "number"
    return "timestamp" if pd.api.types.is_datetime64_any_dtype(column) else "text"


@pytest.fixture
def profile_of() -> Callable[[pd.DataFrame], Profile]:
    """A profile by pandas; the warehouse makes its own with DuckDB."""

    def build(frame: pd.DataFrame) -> Profile:
        columns = tuple(
            ColumnProfile(
                name=name,
                type=_type(frame[name]),
                null_count=int(frame[name].isna().sum()),
                distinct_count=int(frame[name].nunique()),
                minimum=str(frame[name].min()) if _type(frame[name]) == "integer" and len(frame) else None,
                maximum=str(frame[name].max()) if _type(frame[name]) == "integer" and len(frame) else None,
            )
            for name in frame.columns
        )
        return Profile(columns=columns, row_count=len(frame), duplicate_rows=int(frame.duplicated().sum()))

    return build
