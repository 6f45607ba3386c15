"""What the model would have said had only the sensitive value been another: every row asked again for every group.

It shows direct use of the column, and nothing that reaches the model through others (see proxies).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from millrace.bias.groups import group_rows
from millrace.bias.intervals import quantile, wilson
from millrace.bias.values import as_text

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from millrace.bias.policy import Policy
    from millrace.contracts.task import Answers

    Predict = Callable[[pd.DataFrame], Any]

MOST_ROWS = 5_000
"""Rows that are asked again; more are drawn by lot."""
MOST_GROUPS = 12


@dataclass(frozen=True)
class Change:
    """All rows of other groups as if they were of `group`."""

    group: str
    """The group, and the value that stood for it."""
    value: str
    rows: int
    changed: int
    """Rows whose answer is another."""
    share: float | None
    low: float | None
    high: float | None
    gained: int | None
    """Rows that would be selected and were not, and those that would not be and were; None without a favourable value.
    """
    lost: int | None
    shift: float | None
    """Mean change of a predicted number; None for classes."""


@dataclass(frozen=True)
class ChangedColumn:
    """One sensitive column."""

    attribute: str
    changes: tuple[Change, ...]
    remark: str
    """Why nothing was asked; empty where something was."""


@dataclass(frozen=True)
class Counterfactuals:
    """Every sensitive column changed alone."""

    columns: tuple[ChangedColumn, ...]
    rows: int
    rows_in_all: int

    name = "counterfactual"
    section = 11
    template = "bias_counterfactual.html"

    def document(self) -> dict[str, Any]:
        """The changes as JSON."""
        return asdict(self)


def change_sensitive(
    predict: Predict, rows: pd.DataFrame, *, answers: Answers, used: frozenset[str] | None, policy: Policy, seed: int
) -> Counterfactuals:
    """The model asked again with each sensitive value changed to each group's own.

    `used` are the columns that the model takes; None when that is not known.
    """
    import numpy as np

    chosen = rows
    if len(rows) > MOST_ROWS:
        chosen = rows.iloc[np.sort(np.random.default_rng(seed).choice(len(rows), MOST_ROWS, replace=False))]
    said = np.asarray(predict(chosen))
    columns = tuple(
        _column(predict, chosen, said, name, answers=answers, used=used, policy=policy) for name in answers.sensitive
    )
    return Counterfactuals(columns, len(chosen), len(rows))


def _column(
    predict: Predict,
    rows: pd.DataFrame,
    said: np.ndarray,
    name: str,
    *,
    answers: Answers,
    used: frozenset[str] | None,
    policy: Policy,
) -> ChangedColumn:
    import numpy as np

    if used is not None and name not in used:
        return ChangedColumn(name, (), "the model does not take this column: changing it changes nothing")
    grouping = group_rows(rows[name], policy=policy)
    order = [place for place in np.argsort(-grouping.rows, kind="stable").tolist() if grouping.comparable[place]]
    changes = []
    for place in order[:MOST_GROUPS]:
        inside = grouping.codes == place
        if inside.all():
            continue
        value = _typical(rows[name][inside])
        others = rows[~inside].copy()
        others[name] = _filled(rows[name], value, len(others))
        changes.append(
            _change(grouping.names[place], value, said[~inside], np.asarray(predict(others)), answers, policy)
        )
    remark = "" if changes else "fewer than two groups to change between"
    return ChangedColumn(name, tuple(changes), remark)


def _typical(column: pd.Series[Any]) -> Any:
    """The value that stands for a group: its most frequent one, the smallest of several."""
    return column.mode().iloc[0]


def _filled(column: pd.Series[Any], value: Any, rows: int) -> Any:
    import pandas as pd

    return pd.Series([value] * rows, dtype=column.dtype).array


def _change(group: str, value: Any, before: np.ndarray, after: np.ndarray, answers: Answers, policy: Policy) -> Change:
    import numpy as np

    rows = len(before)
    gained = lost = None
    shift = None
    if answers.task_type == "regression":
        gaps = after.astype(float) - before.astype(float)
        changed = int((np.abs(gaps) > 1e-9 * (1 + np.abs(before.astype(float)))).sum())
        shift = float(gaps.mean()) if rows else None
    else:
        old, new = (np.array([as_text(one) for one in side.tolist()], dtype=object) for side in (before, after))
        changed = int((old != new).sum())
        if answers.positive is not None:
            gained = int(((old != answers.positive) & (new == answers.positive)).sum())
            lost = int(((old == answers.positive) & (new != answers.positive)).sum())
    low, high = wilson(np.array([changed]), np.array([rows]), quantile(policy.confidence))
    return Change(
        group=group,
        value=as_text(value),
        rows=rows,
        changed=changed,
        share=changed / rows if rows else None,
        low=float(low[0]) if rows else None,
        high=float(high[0]) if rows else None,
        gained=gained,
        lost=lost,
        shift=shift,
    )
