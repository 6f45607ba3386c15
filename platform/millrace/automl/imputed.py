"""Which values a fitted preprocessing fills in, asked of its own steps."""

from typing import TYPE_CHECKING, Any

from millrace.contracts.filled import FilledValues

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def filled_values(preprocessor: Any, rows: "pd.DataFrame") -> tuple[FilledValues, ...]:
    """The missing cells of every column that the model reads, and what it takes them for, in its own order.

    `preprocessor` is a fitted transformer of `build_preprocessor`. A cell is missing when it is where the imputer
    looks: infinities and cells that are no date may be, or not, as the steps before it decide.
    """
    found = []
    for block, pipeline, columns in preprocessor.transformers_:
        place = _imputer_of(block, pipeline)
        if place is None:
            continue
        imputer = pipeline[place]
        names = [columns] if isinstance(columns, str) else list(columns)
        arrived = pipeline[:place].transform(rows[columns])
        for column, name in enumerate(names):
            cells = _missing(arrived[:, column], imputer.missing_values)
            value = imputer.statistics_[column]
            if block.startswith("date"):
                value = _moment(value)
            found.append(FilledValues(name, value, _shown(value), not isinstance(value, str), cells))
    return tuple(found)


def _imputer_of(block: str, pipeline: Any) -> int | None:
    from sklearn.impute import SimpleImputer

    if block == "remainder":
        return None
    return next((place for place, (_, step) in enumerate(pipeline.steps) if isinstance(step, SimpleImputer)), None)


def _missing(arrived: "np.ndarray[Any, Any]", marker: Any) -> "np.ndarray[Any, Any]":
    import numpy as np
    import pandas as pd

    missing: np.ndarray[Any, Any] = pd.isna(arrived) if pd.isna(marker) else arrived == marker
    return missing


def _moment(seconds: float) -> Any:
    import pandas as pd

    return pd.Timestamp(seconds, unit="s")


def _shown(value: Any) -> str:
    import pandas as pd

    if isinstance(value, str):
        return value or "(no text)"
    if isinstance(value, pd.Timestamp):
        return value.date().isoformat() if value == value.normalize() else value.isoformat(sep=" ", timespec="seconds")
    return f"{float(value):.10g}"
