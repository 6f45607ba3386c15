"""A report as its page looks at it: what each section needs of every column and crossing, with its pointers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from millrace.bias.because import because
from millrace.bias.charts import group_chart
from millrace.bias.explorer import explorer
from millrace.bias.narrative import certainty, frequencies, sentence
from millrace.bias.pictograms import pictograms

if TYPE_CHECKING:
    from millrace.bias.explorer import Explorer
    from millrace.bias.figures import AttributeReport, Disparity, Facet, Measure
    from millrace.bias.narrative import Word
    from millrace.bias.pictograms import Pictogram
    from millrace.bias.report import BiasReport
    from millrace.pages import Chart

CHART_LIMIT = 12
"""Measures of one attribute that get a chart; beyond it only the leading one of each outcome does (page size)."""
SENTENCES = 3
"""Outcomes of one attribute that are told in words."""
LISTED = 40
"""Groups of a crossing, compared and not, that the page lists; the JSON has all."""
CHARTED = 10
"""Groups of a crossing that get a row of its chart: those with the lowest figures."""


@dataclass(frozen=True)
class Figure:
    """A measure with its chart; `place` is its place in the document."""

    place: int
    measure: Measure
    chart: Chart


@dataclass(frozen=True)
class AttributeView:
    """A sensitive column. `at` is the JSON pointer (RFC 6901) of its part of the document."""

    at: str
    attribute: AttributeReport
    deciding: int
    """Place of the disparity that the verdict rests on."""
    plain: tuple[Word, ...]
    certainty: tuple[Word, ...]
    because: tuple[Word, ...]
    people: tuple[Pictogram, ...]
    sentences: tuple[tuple[Word, ...], ...]
    first: Figure
    others: tuple[Figure, ...]
    facets: tuple[tuple[int, Facet], ...]
    """Facets of the first outcome, each with its place in the document."""
    explorer: Explorer | None


@dataclass(frozen=True)
class CrossingView:
    """Groups by several columns at once."""

    at: str
    attribute: AttributeReport
    deciding: int
    chart: Chart
    listed: tuple[int, ...]
    """Places of the compared groups, the lowest figure first."""
    suppressed: tuple[int, ...]
    """Places of the groups that are not compared, the largest first."""


def attribute_view(report: BiasReport, place: int) -> AttributeView:
    """The sensitive column at that place of the document."""
    attribute, at = report.attributes[place], f"/attributes/{place}"
    deciding = deciding_place(attribute)
    told: dict[str | None, int] = {}
    for index in (deciding, *range(len(attribute.disparities))):
        item = attribute.disparities[index]
        if item.verdict is not None or not told:
            told.setdefault(item.outcome, index)
    figures = [
        Figure(index, measure, _chart(attribute, at, index))
        for index, measure in enumerate(attribute.measures)
        if len(attribute.measures) <= CHART_LIMIT or measure.metric == attribute.measures[0].metric
    ]
    outcomes = {facet.outcome for facet in attribute.facets[:1]}
    return AttributeView(
        at=at,
        attribute=attribute,
        deciding=deciding,
        plain=frequencies(attribute, at, deciding=deciding, subject=report.subject),
        certainty=certainty(attribute, at, deciding=deciding),
        because=because(attribute, at, deciding=deciding),
        people=pictograms(attribute, at, deciding=deciding),
        sentences=tuple(sentence(attribute, at, index) for index in list(told.values())[:SENTENCES]),
        first=figures[0],
        others=tuple(figures[1:]),
        facets=tuple(entry for entry in enumerate(attribute.facets) if entry[1].outcome in outcomes),
        explorer=explorer(attribute),
    )


def crossing_view(report: BiasReport, place: int) -> CrossingView:
    """The crossing at that place of the document."""
    crossing, at = report.crossings[place], f"/crossings/{place}"
    leading = crossing.measures[0]
    order = sorted(
        (index for index, item in enumerate(leading.values) if item.compared),
        key=lambda index: (leading.values[index].value or 0.0, leading.values[index].group),
    )
    without = [index for index in range(len(crossing.groups)) if not leading.values[index].compared]
    return CrossingView(
        at=at,
        attribute=crossing,
        deciding=deciding_place(crossing),
        chart=_chart(crossing, at, 0, order[:CHARTED]),
        listed=tuple(order[:LISTED]),
        suppressed=tuple(sorted(without, key=lambda index: (-crossing.groups[index].rows, index))),
    )


def deciding_place(attribute: AttributeReport) -> int:
    """Place of the first disparity with the column's own verdict; 0 where none is judged."""
    return next((place for place, item in enumerate(attribute.disparities) if item.verdict == attribute.verdict), 0)


def _chart(attribute: AttributeReport, at: str, place: int, shown: list[int] | None = None) -> Chart:
    measure = attribute.measures[place]
    rows = None if shown is None else tuple(measure.values[index] for index in shown)
    return group_chart(attribute.attribute, measure, _of(attribute, measure), at=f"{at}/measures/{place}", shown=rows)


def _of(attribute: AttributeReport, measure: Measure) -> list[Disparity]:
    return [
        item
        for item in attribute.disparities
        if item.outcome == measure.outcome and item.metric.startswith(measure.metric + "_")
    ]
