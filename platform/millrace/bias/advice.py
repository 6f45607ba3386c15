"""What follows from the verdicts: recommendations and what stays unknown, in sentences without figures of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from millrace.bias.accounting.figures import Accounting
from millrace.pages import filters

if TYPE_CHECKING:
    from millrace.bias.figures import AttributeReport
    from millrace.bias.report import BiasReport


def recommendations(report: BiasReport) -> tuple[str, ...]:
    """What to do next, the most urgent first; never empty."""
    if not report.attributes:
        return ("Name the columns whose groups must be treated alike, and measure again.",)
    found = []
    if report.holds_back:
        found.append("Do not go on before a person has looked at this: the policy holds back what does not pass.")
    failing = _named(report, "fail")
    if failing:
        found.append(
            f"Find out why {failing} {_differ(report, 'fail')}: in how the outcomes came about, in who is in the data, "
            "in the columns that stand in for the group. Only then choose what to change."
        )
    unsure = _named(report, "inconclusive")
    if unsure:
        found.append(f"Collect more rows before anything is claimed about {unsure}: these data do not settle it.")
    unknown = _named(report, "not assessable")
    if unknown:
        found.append(f"Nothing can be said about {unknown} with these rows; do not report it as fair.")
    if not found:
        found.append("No line of the policy is crossed. Measure again when the data, the model or the people change.")
    lost = _lost(report)
    if lost:
        found.append(
            f"Find out why rows of {lost} were lost on the way; what is measured is only about those who stayed."
        )
    if report.crossings_left_out:
        found.append("Some crossings were not looked at; raise the policy's limit, or name fewer columns.")
    return tuple(found)


def residual_risks(report: BiasReport) -> tuple[str, ...]:
    """What this report cannot rule out."""
    found = [
        "The recorded target may itself be unfair. Agreement with it is no proof that a decision is right.",
        "Groups that were not recorded, or are too small, can be treated differently without any sign here.",
        "The rows are a sample of the past; the people who will be decided about may differ.",
    ]
    if any(item.population.rows_missing for item in report.attributes):
        found.append("Rows without a sensitive value may belong to one group more than to another.")
    if report.positive is None and report.task_type == "classification":
        found.append("No value was named as favourable, so no outcome is better than another here.")
    return tuple(found)


def _named(report: BiasReport, verdict: str) -> str:
    return _joined([filters.visible(one.attribute, 60) for one in _with(report, verdict)][:8])


def _lost(report: BiasReport) -> str:
    """The groups that a step kept less of than of everyone else, each once."""
    names = [
        f"{filters.visible(attribute.attribute, 40)} {filters.visible(group.group, 40)}"
        for part in report.parts
        if isinstance(part, Accounting)
        for step in part.steps
        if step.step != "imputation"
        for attribute in step.attributes
        for group in attribute.groups
        if group.finding == "lost"
    ]
    return _joined(list(dict.fromkeys(names))[:8])


def _differ(report: BiasReport, verdict: str) -> str:
    return "differs" if len(_with(report, verdict)) == 1 else "differ"


def _with(report: BiasReport, verdict: str) -> list[AttributeReport]:
    return [one for one in (*report.attributes, *report.crossings) if one.verdict == verdict]


def _joined(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1] if names else ""
