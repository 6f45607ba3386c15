"""What both measurements need of a table: the sensitive columns checked, and the groups counted."""

from __future__ import annotations

import difflib
import zlib
from typing import TYPE_CHECKING, Any

from millrace.bias.figures import Group
from millrace.bias.groups import group_rows
from millrace.contracts.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from millrace.bias.groups import Grouping
    from millrace.bias.policy import Policy
    from millrace.contracts.task import Answers

NO_ATTRIBUTES = (
    "No sensitive column was named, so nothing was compared and there is no verdict. "
    "Name the columns whose groups must be treated alike and measure again."
)


def check_sensitive(frame: pd.DataFrame, answers: Answers) -> tuple[str, ...]:
    """The sensitive columns, each once.

    Raises:
        BadInput: a column is not there (suggests near names), or is the target itself.
    """
    for name in answers.sensitive:
        require_column(frame, name, field="sensitive")
        if name == answers.target:
            raise BadInput(
                f"sensitive column {name!r} is the target",
                field="sensitive",
                remedy="leave the target out of the sensitive columns",
            )
    return tuple(dict.fromkeys(answers.sensitive))


def notes_on(groupings: dict[str, Grouping]) -> tuple[str, ...]:
    """What a report says of its sensitive columns: that there is none, or what kept one from being cut into bands."""
    return tuple(one.note for one in groupings.values() if one.note) if groupings else (NO_ATTRIBUTES,)


def check_weights(weights: np.ndarray | None, answers: Answers) -> None:
    """Nothing, when rows have no weights, or weights that can be used.

    Raises:
        BadInput: the target is a number.
    """
    if weights is not None and answers.task_type == "regression":
        raise BadInput(
            "rows with weights are measured for a classification only",
            field="weights",
            remedy="leave --weights away, or give whole numbers of people",
        )


def require_column(frame: pd.DataFrame, name: str, *, field: str) -> pd.Series[Any]:
    """The column of that name.

    Raises:
        BadInput: there is none; suggests near names.
    """
    names = [str(column) for column in frame.columns]
    if name in names:
        return frame.iloc[:, names.index(name)]
    near = difflib.get_close_matches(name, names, n=3) or names[:5]
    raise BadInput(
        f"column {name[:80]!r} is not in the data",
        field=field,
        remedy="name one of the columns, such as " + ", ".join(repr(item[:80]) for item in near),
    )


def strata_codes(frame: pd.DataFrame, name: str, policy: Policy) -> np.ndarray:
    """Stratum of each row by a column's groups, rows without a value being a stratum of their own.

    Raises:
        BadInput: there is no such column; suggests near names.
    """
    return group_rows(require_column(frame, name, field="strata"), policy=policy).codes


def count_groups(grouping: Grouping, *, name: str, policy: Policy) -> tuple[Group, ...]:
    """Every group of the column with its rows, its share beside the reference population's, and why not compared."""
    reference = policy.reference.get(name, {})
    groups = []
    figures = zip(grouping.rows.tolist(), grouping.shares.tolist(), grouping.worth.tolist(), strict=True)
    for group, remark, (rows, share, worth) in zip(grouping.names, grouping.remarks, figures, strict=True):
        if not remark and worth < policy.minimum_group:
            what = "rows" if grouping.weights is None else "effective rows"
            remark = f"not compared: fewer than {policy.minimum_group} {what}"
        other = reference.get(group)
        gap = None if other is None else share - other
        groups.append(Group(group, rows, share, not remark, remark, other, gap))
    return tuple(groups)


def seed_of(seed: int, *names: str) -> int:
    """Seed of one comparison: the same whatever else is measured beside it."""
    return zlib.crc32("\0".join((str(seed), *names)).encode())
