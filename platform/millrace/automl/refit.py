"""The winner of the search once more on all training rows, if the budget allows."""

import time
from typing import TYPE_CHECKING, Any

from millrace.automl.search import Found

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

MORE_ROWS = 1.25
"""All training rows are a quarter more than those that the search fitted on."""
ALL_ROWS = "all training rows"


class _OutOfTime(Exception):
    pass


def refit(found: Found, matrix: "Array", target: "Array", *, deadline: float | None) -> tuple[Any, str]:
    """The estimator to keep, and what it was fitted on or why it was not fitted again.

    `deadline` is a moment of `time.perf_counter`, None for no limit. A refit that would pass it is not begun; a
    boosting that passes it all the same is broken off, and the winner of the search stays.
    """
    from sklearn.base import clone

    if len(found.fitted) == len(target):
        return found.estimator, ALL_ROWS
    left = float("inf") if deadline is None else deadline - time.perf_counter()
    if found.fit_seconds * MORE_ROWS > left:
        return found.estimator, (
            f"the rows that the search fitted on: a refit takes about {found.fit_seconds * MORE_ROWS:.1f} s, "
            f"{max(left, 0):.1f} s of the budget are left"
        )
    fresh = clone(found.estimator)
    try:
        _fit(fresh, matrix, target, deadline)
    except _OutOfTime:
        return found.estimator, "the rows that the search fitted on: a refit was broken off at the end of the budget"
    return fresh, ALL_ROWS


def _fit(estimator: Any, matrix: "Array", target: "Array", deadline: float | None) -> None:
    module = type(estimator).__module__.partition(".")[0]
    if deadline is not None and module == "lightgbm":
        estimator.fit(matrix, target, callbacks=[lambda _: _check(deadline)])
    elif deadline is not None and module == "xgboost":
        estimator.set_params(callbacks=[_xgboost_callback(deadline)])
        estimator.fit(matrix, target)
        estimator.set_params(callbacks=None)
    else:
        estimator.fit(matrix, target)


def _check(deadline: float) -> None:
    if time.perf_counter() > deadline:
        raise _OutOfTime


def _xgboost_callback(deadline: float) -> Any:
    from xgboost.callback import TrainingCallback

    class Deadline(TrainingCallback):  # type: ignore[misc]
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            _check(deadline)
            return False

    return Deadline()
