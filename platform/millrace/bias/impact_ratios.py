"""The impact ratios that New York City's Local Law 144 asks to be published (6 RCNY 5-301 to 5-303): CSV and page."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Literal

from millrace.bias import wording
from millrace.pages import environment

if TYPE_CHECKING:
    from millrace.bias.figures import AttributeReport, Group
    from millrace.bias.report import BiasReport
    from millrace.pages import PageFacts

Kind = Literal["selection_rate", "scoring_rate"]
HEADER = ("category", "group", "rows", "share", "selected", "selection_rate", "impact_ratio", "remark")
SCORING_HEADER = ("category", "group", "rows", "share", "above_median", "scoring_rate", "impact_ratio", "remark")
SMALL = 0.02
"""Share below which the law lets a group be left out (6 RCNY 5-301 (d)): marked also where the policy compares it."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a cell that begins so for a formula."""


def rate_kind(report: BiasReport) -> Kind | None:
    """Whose ratios these are: selection rates, or scoring rates of numbers.

    None where no value is favourable, and where rows have weights: the table counts people.
    """
    if report.weights is not None:
        return None
    if report.task_type == "regression":
        return "scoring_rate"
    return None if report.positive is None else "selection_rate"


def impact_ratio_table(report: BiasReport) -> str | None:
    """CSV with a row for every group of every column and crossing, unknowns and small groups included.

    None where `rate_kind` is.
    """
    kind = rate_kind(report)
    if kind is None:
        return None
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(SCORING_HEADER if kind == "scoring_rate" else HEADER)
    for attribute in (*report.attributes, *report.crossings):
        writer.writerows(_rows(attribute, kind))
    return text.getvalue()


def impact_ratio_page(report: BiasReport, *, facts: PageFacts) -> str:
    """The same table as a self-contained page without scripts.

    Raises:
        ValueError: no value is favourable.
    """
    kind = rate_kind(report)
    if kind is None:
        raise ValueError("impact ratios need a favourable value")
    places = [(f"/attributes/{index}", one) for index, one in enumerate(report.attributes)]
    places += [(f"/crossings/{index}", one) for index, one in enumerate(report.crossings)]
    return (
        environment("millrace.bias")
        .get_template("impact_ratios.html")
        .render(
            report=report,
            facts=facts,
            kind=kind,
            tables=[(at, one, _place(one, kind)) for at, one in places],
            wording=wording,
            remark=remark,
        )
    )


def remark(group: Group) -> str:
    """Why a group is not compared, or that it is one which the law lets be left out."""
    if group.remark or group.share >= SMALL:
        return group.remark
    return f"below {SMALL:.0%} of the rows; compared under this policy"


def _place(attribute: AttributeReport, kind: Kind) -> int:
    return next(place for place, measure in enumerate(attribute.measures) if measure.metric == kind)


def _rows(attribute: AttributeReport, kind: Kind) -> list[list[str | int]]:
    rates = attribute.measures[_place(attribute, kind)]
    return [
        [
            _safe(attribute.attribute),
            _safe(group.name),
            group.rows,
            f"{group.share:.6f}",
            value.count or 0,
            "" if value.value is None else f"{value.value:.6f}",
            "" if value.impact_ratio is None else f"{value.impact_ratio:.6f}",
            remark(group),
        ]
        for group, value in zip(attribute.groups, rates.values, strict=True)
    ]


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
