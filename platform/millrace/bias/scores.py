"""A model's scores of the favourable value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millrace.bias.values import as_text, find_value
from millrace.contracts.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def favourable_scores(predictor: Any, rows: pd.DataFrame, positive: str | None) -> np.ndarray | None:
    """The model's chance of the favourable value for each row, shape (rows,).

    None where no value is favourable, the model gives no chances, or it knows no such value.
    """
    import numpy as np

    if positive is None or not hasattr(predictor, "predict_proba"):
        return None
    try:
        place = find_value([as_text(label) for label in predictor.classes_], positive, field="positive")
    except BadInput:
        return None
    found: np.ndarray = np.asarray(predictor.predict_proba(rows))[:, place]
    return found
