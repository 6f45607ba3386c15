"""Typed Parquet as a data frame."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def read_parquet(path: Path) -> "pd.DataFrame":
    """The file's rows in plain numpy dtypes, which scikit-learn, LightGBM and Fairlearn take as they are."""
    import pyarrow.parquet as pq

    # pandas' own dtype for dates would be object
    frame: pd.DataFrame = pq.read_table(path).to_pandas(date_as_object=False)
    return frame
