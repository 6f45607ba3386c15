"""The page of a bias report: self-contained HTML with a table for every figure and charts of the leading ones."""

from __future__ import annotations

from dataclasses import dataclass

from millrace.bias import wording
from millrace.bias.charts import group_chart
from millrace.bias.figures import AttributeReport, Disparity, Measure
from millrace.bias.report import BiasReport
from millrace.pages import Chart, PageFacts, environment

CHART_LIMIT = 12
"""Measures of one attribute that get a chart; beyond it only the leading one of each outcome does (page size)."""
SENTENCES = 3
"""Outcomes of one attribute that are told in words."""


@dataclass(frozen=True)
class _Figure:
    measure: Measure
    chart: Chart


@dataclass(frozen=True)
class _Section:
    attribute: AttributeReport
    deciding: Disparity
    sentences: tuple[str, ...]
    first: _Figure
    others: tuple[_Figure, ...]


def render_bias_page(report: BiasReport, *, facts: PageFacts) -> str:
    """HTML of the report, without scripts and without anything from the network.

    One page serves labels and models, classification and regression.
    """
    template = environment("millrace.bias").get_template("bias.html")
    return template.render(
        report=report,
        facts=facts,
        sections=[_section(report, item) for item in report.attributes],
        policy=report.policy.document(),
        wording=wording,
    )


def _section(report: BiasReport, attribute: AttributeReport) -> _Section:
    judged = [item for item in attribute.disparities if item.verdict is not None]
    deciding = next((item for item in judged if item.verdict == attribute.verdict), attribute.disparities[0])
    told = {item.outcome: item for item in reversed([deciding, *judged])}
    figures = [
        _Figure(measure, group_chart(attribute.attribute, measure, _of(attribute, measure)))
        for measure in attribute.measures
        if len(attribute.measures) <= CHART_LIMIT or measure.metric == attribute.measures[0].metric
    ]
    return _Section(
        attribute=attribute,
        deciding=deciding,
        sentences=tuple(wording.sentence(attribute, item) for item in list(reversed(told.values()))[:SENTENCES]),
        first=figures[0],
        others=tuple(figures[1:]),
    )


def _of(attribute: AttributeReport, measure: Measure) -> list[Disparity]:
    return [
        item
        for item in attribute.disparities
        if item.outcome == measure.outcome and item.metric.startswith(measure.metric + "_")
    ]
