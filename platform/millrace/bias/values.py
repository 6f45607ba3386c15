"""Cells as text: how a class or a group is named, and how a name that a person gave is found again."""

from __future__ import annotations

import difflib
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from millrace.contracts.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def as_text(value: Any) -> str:
    """A cell as people write it: `true`, `3` (also for 3.0), `2024-05-01`, or the text itself."""
    import numpy as np

    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        return str(int(value)) if float(value).is_integer() else repr(float(value))
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == datetime.min.time() else value.isoformat(sep=" ")
    return value.isoformat() if isinstance(value, date) else str(value)


def codes_of(column: pd.Series[Any]) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Code of each row (-1 where missing), the distinct values as text, and how often each occurs; most frequent first.

    Values that read the same (1, 1.0 and "1") are one. The order does not depend on the order of the rows.
    """
    import numpy as np
    import pandas as pd

    raw, distinct = pd.factorize(column, sort=False)
    merged, names = pd.factorize(np.array([as_text(value) for value in distinct], dtype=object), sort=False)
    codes = np.where(raw < 0, -1, merged[raw]) if len(merged) else raw
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    order = sorted(range(len(names)), key=lambda i: (-counts[i], names[i]))
    rank = np.empty(len(names) + 1, dtype=np.int64)
    rank[order] = np.arange(len(names))
    rank[-1] = -1
    return rank[codes], [str(names[i]) for i in order], counts[order]


def find_value(names: list[str], wanted: str, *, field: str) -> int:
    """Index of the value that a person named; letter case and `1` against `1.0` are forgiven where unambiguous.

    Raises:
        BadInput: no value or several are meant; lists near values.
    """
    for same in (str, str.casefold, _as_number):
        hits = [index for index, name in enumerate(names) if same(name) == same(wanted)]
        if len(hits) == 1:
            return hits[0]
    near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.4) or names[:5]
    raise BadInput(
        f"{field} {wanted[:80]!r} is not among the values",
        field=field,
        remedy="give one of the values, such as " + ", ".join(repr(name[:80]) for name in near),
    )


def _as_number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
