"""`millrace bias FILE --above NUMBER`: a target of numbers becomes the answer to whether it lies above one."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from millrace.cli.bias_options import BiasOptions
from millrace.contracts.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd


def ask_above(options: BiasOptions, frame: "pd.DataFrame") -> "tuple[BiasOptions, pd.DataFrame, tuple[str, ...]]":
    """Options, table and notes of a classification whose favourable value is a number above the threshold.

    Predictions are numbers too and are cut at the same place; what is missing stays missing. As Clarify reads a
    threshold, the number itself is not above it. Without `--above` all comes back as it came.

    Raises:
        BadInput: the threshold is no finite number or lies beyond all values, a value is no number, or another option
            says something else about the favourable value.
    """
    from millrace.bias.table import require_column

    if options.above is None:
        return options, frame, ()
    if not math.isfinite(options.above):
        raise BadInput(f"{options.above} is no finite number", field="above", remedy="give a number")
    for name, given in (("positive", options.positive), ("task", options.task)):
        if given is not None and (name, given) != ("task", "classification"):
            raise BadInput(
                f"--above makes a classification with a favourable value of its own; --{name} is {given[:80]}",
                field=name,
                remedy=f"leave --{name} or --above away",
            )
    number = f"{options.above:.17g}" if options.above % 1 else f"{options.above:.0f}"
    yes, no = f"above {number}", f"at most {number}"
    columns = {"target": options.target, "predictions": options.predictions}
    cut = {
        name: _cut(require_column(frame, name, field=field), options.above, yes=yes, no=no, field=field)
        for field, name in columns.items()
        if name is not None
    }
    found = set(cut[options.target].dropna())
    if len(found) < 2:
        raise BadInput(
            f"every value of {options.target[:80]!r} is {found.pop()}"
            if found
            else f"{options.target[:80]!r} is empty",
            field="above",
            remedy="give a number that lies between the target's values",
        )
    note = f"{options.target} was read as whether it is above {number}."
    return replace(options, positive=yes, task="classification"), frame.assign(**cut), (note,)


def _cut(column: "pd.Series", threshold: float, *, yes: str, no: str, field: str) -> "pd.Series":
    import numpy as np
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce")
    wrong = column[numbers.isna() & column.notna()]
    if len(wrong):
        raise BadInput(
            f"column {str(column.name)[:80]!r} holds {str(wrong.iloc[0])[:80]!r}, which is not a number",
            field=field,
            remedy="name a column of numbers, or leave --above away",
        )
    words = np.where(numbers > threshold, yes, no).astype(object)
    return pd.Series(words, index=column.index, name=column.name).where(column.notna(), None)
