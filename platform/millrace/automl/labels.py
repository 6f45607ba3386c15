"""The target: what its values are called, and how a model that wants 0…k-1 gives them back."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from millrace.contracts.errors import BadInput, StageFailed
from millrace.contracts.stages import TaskType

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

MAX_CLASSES = 100
"""More classes than this is a number, a date or an identifier taken for a category."""


@dataclass(frozen=True)
class Target:
    """A target column without its missing values."""

    values: "np.ndarray[Any, Any]"
    """Regression: float64. Classification: labels as the table has them."""
    classes: "np.ndarray[Any, Any] | None"
    """Sorted distinct labels; None for regression."""
    codes: "np.ndarray[Any, Any] | None"
    """Position of each row's label in `classes`; None for regression."""


def label_text(value: object) -> str:
    """A label as text, the way answers and reports name it: `true`, `1` (never `1.0`), `yes`."""
    import numpy as np

    if isinstance(value, bool | np.bool_):
        return str(value).lower()
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def read_target(column: "pd.Series[Any]", task_type: TaskType) -> Target:
    """The target's values, read for the task.

    Raises:
        StageFailed: a regression target that is not numeric or is constant, or a classification target with more
            than MAX_CLASSES values.
    """
    import numpy as np
    import pandas as pd

    name = str(column.name)
    if task_type == "regression":
        numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype="float64", na_value=np.nan)
        if pd.api.types.is_bool_dtype(column) or not np.isfinite(numbers).all():
            raise StageFailed(
                f"target {name!r} holds values that are not finite numbers, so it cannot be a regression target",
                field="task_type",
                remedy="use task type classification, or choose a numeric target",
            )
        if len(numbers) and np.ptp(numbers) == 0:
            raise StageFailed(
                f"target {name!r} has one value only, so there is nothing to learn",
                field="target",
                remedy="choose a target with different values",
            )
        return Target(numbers, None, None)
    labels = _labels(column)
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) > MAX_CLASSES:
        raise StageFailed(
            f"target {name!r} has {len(classes):,} different values; a classification takes at most {MAX_CLASSES}",
            field="target",
            remedy="use task type regression for a numeric target, or choose a target with fewer values",
        )
    return Target(labels, classes, codes)


def _labels(column: "pd.Series[Any]") -> "np.ndarray[Any, Any]":
    import numpy as np
    import pandas as pd

    if pd.api.types.is_bool_dtype(column):
        return column.to_numpy(dtype=bool)
    if pd.api.types.is_numeric_dtype(column):
        numbers = column.to_numpy(dtype="float64")
        whole = np.isfinite(numbers).all() and (numbers == np.floor(numbers)).all() and np.abs(numbers).max() < 2**53
        return numbers.astype("int64") if whole else numbers
    return np.array([label_text(value) for value in column], dtype=np.str_)


def positive_label(classes: "np.ndarray[Any, Any]", positive: str | None) -> Any:
    """The class that `positive` names; the last one when nothing is named.

    Raises:
        BadInput: no class has that name.
    """
    if positive is None:
        return classes[-1]
    exact = [label for label in classes if label_text(label) == positive]
    near = [label for label in classes if label_text(label).strip().lower() == positive.strip().lower()]
    if exact or len(near) == 1:
        return (exact or near)[0]
    names = ", ".join(repr(label_text(label)) for label in classes[:10])
    raise BadInput(
        f"positive value {positive!r} is not a value of the target",
        field="positive",
        remedy=f"use one of {names}",
    )


def with_labels(estimator: Any, classes: "np.ndarray[Any, Any]") -> Any:
    """A fitted classifier of codes 0…k-1 that gives the original labels.

    A VotingClassifier of one member is scikit-learn's own label encoding around an estimator: `predict_proba` is the
    member's, `predict` the label of the largest. It needs no class of ours where the model is loaded.
    """
    from sklearn.ensemble import VotingClassifier
    from sklearn.preprocessing import LabelEncoder
    from sklearn.utils import Bunch

    voting = VotingClassifier(estimators=[("model", estimator)], voting="soft")
    voting.le_ = LabelEncoder().fit(classes)
    voting.classes_ = voting.le_.classes_
    voting.estimators_ = [estimator]
    voting.named_estimators_ = Bunch(model=estimator)
    return voting
