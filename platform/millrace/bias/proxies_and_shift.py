"""Proxies and demographic shift as every report of the platform has them: bounded, and never left out silently."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from millrace.bias.proxies.search import find_proxies
from millrace.bias.shift import shift_of_report
from millrace.contracts.task import Answers

if TYPE_CHECKING:
    import pandas as pd

    from millrace.bias.report import BiasReport

MOST_ROWS, FEWEST_ROWS, CELLS = 2_000, 500, 300_000
"""Rows that proxies are searched in: `CELLS` over columns and forests, within the two bounds. A table like the loans
(11 columns, 3 sensitive ones besides) takes 2.4 s on two cores, one of a thousand columns about twice as long."""
NO_PROXIES = (
    "Proxies could not be searched: there is no other column that can tell anything, or there are too few rows."
)
NO_SHIFT = "Demographic shift could not be checked: it is told for a classification with a favourable value."


def add_proxies_and_shift(
    report: BiasReport, frame: pd.DataFrame, *, answers: Answers, predictions: pd.Series[Any] | None = None
) -> BiasReport:
    """The report with both parts; a note says why where one could not be had.

    `frame` has the rows that were measured, with target and sensitive columns; `predictions` belong to them by position
    and are no column of it.

    Raises:
        BadInput: a column is not there.
    """
    if not report.attributes:
        return report
    parts, notes = list(report.parts), list(report.notes)
    rows = bounded_rows(columns=len(frame.columns), attributes=len(report.attributes))
    proxies = find_proxies(frame, answers=answers, seed=report.seed, policy=report.policy, most_rows=rows)
    if proxies is None:
        notes.append(NO_PROXIES)
    else:
        parts.append(proxies)
    if report.positive is None:
        notes.append(NO_SHIFT)
    else:
        parts.append(shift_of_report(report, frame, predictions=predictions))
    return replace(report, parts=tuple(parts), notes=tuple(notes))


def bounded_rows(*, columns: int, attributes: int) -> int:
    """Rows that proxies are searched in at most: fewer for wide tables and for many attributes, never by the clock."""
    # a forest for each attribute, and two for the demonstration of removal
    return min(MOST_ROWS, max(FEWEST_ROWS, CELLS // (columns * (attributes + 2))))
