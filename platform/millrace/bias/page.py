"""The page of a bias report: self-contained HTML with a table for every figure and charts of the leading ones."""

from __future__ import annotations

from dataclasses import dataclass

from millrace.bias import wording
from millrace.bias.catalogue import CATALOGUE
from millrace.bias.charts import group_chart
from millrace.bias.figures import MISSING, AttributeReport, Disparity, Facet, Measure
from millrace.bias.report import BiasReport
from millrace.pages import Chart, PageFacts, environment

CHART_LIMIT = 12
"""Measures of one attribute that get a chart; beyond it only the leading one of each outcome does (page size)."""
SENTENCES = 3
"""Outcomes of one attribute that are told in words."""


LISTED = 40
"""Groups of a crossing, compared and not, that the page lists; the JSON has all."""
CHARTED = 10
"""Groups of a crossing that get a row of its chart: those with the lowest figures."""


@dataclass(frozen=True)
class _Figure:
    measure: Measure
    chart: Chart


@dataclass(frozen=True)
class _Section:
    """A sensitive column. `at` is the JSON pointer (RFC 6901) of its part of the document."""

    at: str
    attribute: AttributeReport
    deciding: Disparity
    sentences: tuple[str, ...]
    first: _Figure
    others: tuple[_Figure, ...]
    facets: tuple[tuple[int, Facet], ...]
    """Facets of the first outcome, each with its place in the document."""


@dataclass(frozen=True)
class _Crossing:
    at: str
    attribute: AttributeReport
    deciding: Disparity
    chart: Chart
    listed: tuple[int, ...]
    """Places of the compared groups, the lowest figure first."""
    suppressed: tuple[int, ...]
    """Places of the groups that are not compared, the largest first."""


def render_bias_page(report: BiasReport, *, facts: PageFacts) -> str:
    """HTML of the report, without scripts and without anything from the network.

    One page serves labels and models, classification and regression.
    """
    template = environment("millrace.bias").get_template("bias.html")
    return template.render(
        report=report,
        facts=facts,
        sections=[_section(report, place) for place in range(len(report.attributes))],
        crossings=[_crossing(report, place) for place in range(len(report.crossings))],
        catalogue=CATALOGUE,
        listed=LISTED,
        missing=MISSING,
        policy=report.policy.document(),
        wording=wording,
    )


def _section(report: BiasReport, place: int) -> _Section:
    attribute = report.attributes[place]
    judged = [item for item in attribute.disparities if item.verdict is not None]
    deciding = _deciding(attribute)
    told = {item.outcome: item for item in reversed([deciding, *judged])}
    figures = [
        _Figure(measure, group_chart(attribute.attribute, measure, _of(attribute, measure)))
        for measure in attribute.measures
        if len(attribute.measures) <= CHART_LIMIT or measure.metric == attribute.measures[0].metric
    ]
    outcomes = {facet.outcome for facet in attribute.facets[:1]}
    return _Section(
        at=f"/attributes/{place}",
        attribute=attribute,
        deciding=deciding,
        sentences=tuple(wording.sentence(attribute, item) for item in list(reversed(told.values()))[:SENTENCES]),
        first=figures[0],
        others=tuple(figures[1:]),
        facets=tuple(entry for entry in enumerate(attribute.facets) if entry[1].outcome in outcomes),
    )


def _crossing(report: BiasReport, place: int) -> _Crossing:
    crossing = report.crossings[place]
    leading = crossing.measures[0]
    order = sorted(
        (index for index, item in enumerate(leading.values) if item.compared),
        key=lambda index: (leading.values[index].value or 0.0, leading.values[index].group),
    )
    shown = tuple(leading.values[index] for index in order[:CHARTED])
    without = [index for index, group in enumerate(crossing.groups) if not leading.values[index].compared]
    return _Crossing(
        at=f"/crossings/{place}",
        attribute=crossing,
        deciding=_deciding(crossing),
        chart=group_chart(crossing.attribute, leading, _of(crossing, leading), shown=shown),
        listed=tuple(order[:LISTED]),
        suppressed=tuple(sorted(without, key=lambda index: (-crossing.groups[index].rows, index))),
    )


def _deciding(attribute: AttributeReport) -> Disparity:
    judged = [item for item in attribute.disparities if item.verdict == attribute.verdict]
    return judged[0] if judged else attribute.disparities[0]


def _of(attribute: AttributeReport, measure: Measure) -> list[Disparity]:
    return [
        item
        for item in attribute.disparities
        if item.outcome == measure.outcome and item.metric.startswith(measure.metric + "_")
    ]
