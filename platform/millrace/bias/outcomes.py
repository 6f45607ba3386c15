"""The values of a classification target: which are measured, and which one is favourable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from millrace.bias.values import codes_of, find_value
from millrace.contracts.errors import BadInput
from millrace.pages.filters import visible

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from millrace.bias.policy import Policy
    from millrace.contracts.task import Answers


NAMED = 5
"""Values of the target that a sentence names."""


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
        return Outcomes(codes, tuple(names), positive, (positive,), _unfavourable(names, positive))
    measured = tuple(names[: policy.maximum_outcomes])
    notes = ["No favourable value was named: each value of the target is measured against all others."]
    if len(names) > len(measured):
        notes.append(f"Only the {len(measured)} most frequent of {len(names)} values are measured.")
    return Outcomes(codes, tuple(names), None, measured, tuple(notes))


def check_words(target: pd.Series[Any], predicted: pd.Series[Any], answers: Answers, *, column: str) -> None:
    """Nothing, when predictions are written in the target's own words; a value that the target lacks may be among them.

    Raises:
        BadInput: no prediction is a value of the target.
    """
    _, actual, _ = codes_of(target)
    _, said, _ = codes_of(predicted)
    known = {*actual, *([] if answers.positive is None else [answers.positive])}
    if said and actual and not known & set(said):
        raise BadInput(
            f"no prediction of column {column[:80]!r} ({_some(said)}) is a value of {answers.target[:80]!r} "
            f"({_some(actual)})",
            field="predictions",
            remedy="write the predictions in the target's own words",
        )


def _unfavourable(names: list[str], positive: str) -> tuple[str, ...]:
    """A note where more than one value counts as unfavourable."""
    others = [name for name in names if name != positive]
    if len(others) < 2:
        return ()
    return (f"Of the {len(names)} values only {visible(positive, 40)} is favourable; {_some(others)} count as not.",)


def _some(names: list[str]) -> str:
    shown = [visible(name, 40) for name in names[:NAMED]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
