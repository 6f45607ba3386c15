"""Whether the bias policy holds a stage back, and why: from what the reports say, closed where they say nothing."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from millrace.conductor.newest import newest_model, newest_report
from millrace.contracts.task import PipelineSettings
from millrace.warehouse.schema import Pipeline, Report

NAMED = 4
"""Verdicts that the reason names; the report has all."""


def held_stages(session: Session, row: Pipeline) -> dict[str, str]:
    """Stage → why it is held back: the model by the bias report, the explanations by the model's bias report."""
    settings = PipelineSettings.model_validate(row.settings)
    held = {}
    report = newest_report(session, row.id, "bias")
    if report is not None:
        held["automl"] = reason_of(report, settings)
    if newest_model(session, row.id) is not None:
        held["xai"] = reason_of(newest_report(session, row.id, "model_bias"), settings)
    return {stage: why for stage, why in held.items() if why}


def reason_of(report: Report | None, settings: PipelineSettings) -> str:
    """Why the policy holds back what comes after the report; empty when it does not.

    A report that does not say whether it holds back, or that is not there, passes no policy that can.
    """
    summary: Mapping[str, Any] = {} if report is None else report.summary
    holds = summary.get("holds_back", settings.bias_policy_holds)
    if holds is False:
        return ""
    policy = f"bias policy {settings.bias_policy.rpartition('/')[2]} holds it back"
    if report is None:
        return f"{policy}: the model has no bias report"
    if "holds_back" not in summary:
        return f"{policy}: report {report.report_id} does not say whether it passes"
    return f"{policy}: {_verdicts(summary) or 'nothing was compared'}"


def _verdicts(summary: Mapping[str, Any]) -> str:
    order = ("fail", "inconclusive", "not assessable")
    found = [one for one in summary.get("verdicts", ()) if isinstance(one, Mapping) and one.get("verdict") in order]
    found.sort(key=lambda one: order.index(one["verdict"]))
    named = [
        f"{str(one.get('attribute'))[:60]} {str(one.get('metric'))[:60].replace('_', ' ')} {one['verdict']}"
        for one in found[:NAMED]
    ]
    more = len(found) - len(named)
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")
