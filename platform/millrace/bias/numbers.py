"""Numbers by group: means, errors and their standard errors, from sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millrace.contracts.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from millrace.bias.groups import Grouping


def numeric_target(column: pd.Series[Any], name: str) -> np.ndarray:
    """The target as finite floats.

    Raises:
        BadInput: there is no value, or one is not a finite number.
    """
    import numpy as np
    import pandas as pd

    numbers: np.ndarray = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float)
    if not len(numbers):
        raise BadInput(f"target {name!r} has no value in any row", field="target", remedy="name another target")
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if len(wrong):
        shown = str(column.iloc[wrong[0]])[:80]
        raise BadInput(
            f"target {name!r} holds {shown!r}, which is not a number",
            field="task_type",
            remedy="choose classification, or a target that holds numbers only",
        )
    return numbers


def group_means(numbers: np.ndarray, grouping: Grouping) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, standard error of the mean, and rows of each group; nan where a group is too small for one."""
    import numpy as np

    size = len(grouping.names)
    rows = np.bincount(grouping.codes, minlength=size)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.bincount(grouping.codes, weights=numbers, minlength=size) / rows
        away = (numbers - means[grouping.codes]) ** 2
        variances = np.bincount(grouping.codes, weights=away, minlength=size) / (rows - 1)
        errors = np.sqrt(np.where(rows > 1, variances, np.nan) / rows)
    return means, errors, rows
