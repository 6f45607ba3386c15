"""The impact ratio table that New York City's Local Law 144 asks to be published (6 RCNY 5-301 to 5-303), as CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from millrace.bias.figures import AttributeReport
    from millrace.bias.report import BiasReport

HEADER = ("category", "group", "rows", "share", "selected", "selection_rate", "impact_ratio", "remark")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a cell that begins so for a formula."""


def impact_ratio_table(report: BiasReport) -> str | None:
    """CSV with a row for every group of every column and crossing, unknowns and small groups included.

    None for a regression, which has scoring rates instead, and without a favourable value.
    """
    if report.positive is None or report.task_type != "classification":
        return None
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for attribute in (*report.attributes, *report.crossings):
        writer.writerows(_rows(attribute))
    return text.getvalue()


def _rows(attribute: AttributeReport) -> list[list[str | int]]:
    rates = next(measure for measure in attribute.measures if measure.metric == "selection_rate")
    return [
        [
            _safe(attribute.attribute),
            _safe(group.name),
            group.rows,
            f"{group.share:.6f}",
            value.count or 0,
            "" if value.value is None else f"{value.value:.6f}",
            "" if value.impact_ratio is None else f"{value.impact_ratio:.6f}",
            group.remark,
        ]
        for group, value in zip(attribute.groups, rates.values, strict=True)
    ]


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
