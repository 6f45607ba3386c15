"""Sentences about verdicts and metrics."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from millrace.bias.measures import MEASURES
from millrace.bias.verdicts import worst
from millrace.contracts.stages import Verdict
from millrace.pages import filters

if TYPE_CHECKING:
    from millrace.bias.figures import AttributeReport, Significance, Unit
    from millrace.bias.policy import Policy
    from millrace.bias.report import BiasReport
    from millrace.bias.verdicts import Better

TITLES = {name: measure.title for name, measure in MEASURES.items()}
MEANINGS = {name: measure.meaning for name, measure in MEASURES.items()}
_KINDS = ("standardised_difference", "difference", "ratio")


def metric_title(metric: str) -> str:
    """Name of a metric, or of a disparity in it, for people."""
    for kind in _KINDS:
        if metric.endswith("_" + kind):
            return f"{TITLES[metric.removesuffix('_' + kind)]}: {kind.replace('_', ' ')}"
    return TITLES[metric]


def reason(verdict: Verdict | None, *, line: float | None, better: Better, unit: Unit) -> str:
    """Why an interval got its verdict, or none."""
    if verdict is None or line is None:
        return "Shown for information: the policy draws no line here."
    above = better == "higher"
    shown = f"{line * 100:g} points" if unit == "share" else f"{line:g}"
    side = {True: "at or above", False: "at or below"}[above]
    other = {True: "below", False: "above"}[above]
    texts: dict[Verdict, str] = {
        "pass": f"The whole interval lies {side} the line of {shown}.",
        "fail": f"The whole interval lies {other} the line of {shown}.",
        "inconclusive": f"The interval crosses the line of {shown}: the data do not settle it.",
        "not assessable": "The distance cannot be computed from these values.",
    }
    return texts[verdict]


def too_weak(policy: Policy) -> str:
    """Why an inconclusive comparison is none."""
    gap, power = policy.glaring_gap * 100, policy.minimum_power
    return f"Too few rows: even a gap of {gap:g} points would be found with a chance below {power:.0%}."


def value_text(value: float | None, unit: Unit, *, distance: bool = False) -> str:
    """A figure for people; a difference of shares in percentage points."""
    if unit == "share":
        return filters.points(value) if distance else filters.percent(value)
    if value is None or unit == "target":
        return filters.number(value)
    return f"{value:.2f}" if unit == "ratio" else f"{value:.2f} SD"


def interval_text(low: float | None, high: float | None, unit: Unit, *, distance: bool = False) -> str:
    """An interval for people, the unit said once."""
    if low is None or high is None:
        return filters.ABSENT
    first = value_text(low, unit, distance=distance)
    for word in ("%", " points", " SD"):
        first = first.removesuffix(word)
    return f"{first} to {value_text(high, unit, distance=distance)}"


def p_text(p: float | None) -> str:
    """A p-value for people."""
    if p is None:
        return filters.ABSENT
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def metric_text(value: float | None) -> str:
    """One of Clarify's values; infinite as text."""
    if value is not None and math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return filters.number(value)


def plain_text(value: float | str | None) -> str:
    """A figure as a document has it: a number, text for an infinite one, None for what was not measured."""
    return metric_text(None if value is None else float(value))


def practical(attribute: AttributeReport, test: Significance) -> Verdict | None:
    """The worst verdict of the distances in the tested metric; None when the policy judges none of them."""
    return worst(
        item.verdict
        for item in attribute.disparities
        if item.verdict is not None and item.outcome == test.outcome and item.metric.startswith(test.metric + "_")
    )


def headline(report: BiasReport) -> str:
    """The whole report in one or two sentences."""
    if not report.attributes:
        return "No sensitive column was named, so nothing was compared. There is no verdict."
    clauses: dict[Verdict, tuple[str, str]] = {
        "fail": ("fails", "fail"),
        "inconclusive": ("is inconclusive", "are inconclusive"),
        "not assessable": ("cannot be assessed", "cannot be assessed"),
        "pass": ("passes", "pass"),
    }
    parts = []
    for verdict, (one, several) in clauses.items():
        names = [filters.visible(item.attribute, 40) for item in report.attributes if item.verdict == verdict]
        if names:
            parts.append(f"{_joined(names)} {one if len(names) == 1 else several}")
    what = "the recorded outcomes" if report.subject == "label" else "the model's predictions"
    return f"In {what}: {'; '.join(parts)}.{_crossings(report)}"


def _crossings(report: BiasReport) -> str:
    failing = [filters.visible(item.attribute, 60) for item in report.crossings if item.verdict == "fail"]
    if not report.crossings:
        return ""
    every = len(report.crossings)
    if not failing:
        return f" No crossing fails ({every} looked at)."
    if every == 1:
        return f" The crossing {failing[0]} fails."
    if len(failing) == every:
        return f" All {every} crossings fail: {_joined(failing)}."
    return f" Of {every} crossings, {len(failing)} {'fails' if len(failing) == 1 else 'fail'}: {_joined(failing)}."


def _joined(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
