"""The values of a classification target: which are measured, and which one is favourable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from millrace.bias.values import codes_of, find_value
from millrace.contracts.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from millrace.bias.policy import Policy
    from millrace.contracts.task import Answers


@dataclass(frozen=True)
class Outcomes:
    """Class of each row (an index into `names`) and what is measured of them."""

    codes: np.ndarray
    names: tuple[str, ...]
    positive: str | None
    measured: tuple[str, ...]
    notes: tuple[str, ...]


def read_outcomes(
    target: pd.Series[Any], answers: Answers, policy: Policy, *, positive_may_lack: bool = False
) -> Outcomes:
    """The classes of a target without missing values.

    `positive_may_lack` is for a part of the rows, where a rare favourable value may occur nowhere.

    Raises:
        BadInput: there is no value at all, or the positive value is not among them.
    """
    codes, names, _ = codes_of(target)
    if not names:
        raise BadInput(
            f"target {answers.target!r} has no value in any row",
            field="target",
            remedy="name a target that is filled in",
        )
    if answers.positive is not None:
        try:
            positive = names[find_value(names, answers.positive, field="positive")]
        except BadInput:
            if not positive_may_lack:
                raise
            positive = answers.positive
            names = [*names, positive]
        return Outcomes(codes, tuple(names), positive, (positive,), ())
    measured = tuple(names[: policy.maximum_outcomes])
    notes = ["No favourable value was named: each value of the target is measured against all others."]
    if len(names) > len(measured):
        notes.append(f"Only the {len(measured)} most frequent of {len(names)} values are measured.")
    return Outcomes(codes, tuple(names), None, measured, tuple(notes))
