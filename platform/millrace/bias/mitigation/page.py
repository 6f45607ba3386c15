"""The page of a mitigation report."""

from __future__ import annotations

from millrace.bias import wording
from millrace.bias.mitigation.drawing import Scatter
from millrace.bias.mitigation.methods import DESCRIPTIONS
from millrace.bias.mitigation.report import MOST_LOST, TARGETS, MitigationReport, target_gap
from millrace.pages import PageFacts, environment

QUALITIES = {
    "accuracy": "Accuracy",
    "auc": "AUC",
    "calibration_error": "Expected calibration error",
}
DIRECTIONS = {"closed": "closes", "opened": "opens", "unclear": "unclear", "could not check": "could not check"}


def render_mitigation_page(report: MitigationReport, *, facts: PageFacts) -> str:
    """Self-contained HTML without scripts: every method side by side, and every figure with its place in the JSON."""
    template = environment("millrace.bias").get_template("mitigation.html")
    return template.render(
        report=report,
        facts=facts,
        descriptions=DESCRIPTIONS,
        directions=DIRECTIONS,
        gaps=[target_gap(result, report.scope) for result in report.results],
        most_lost=MOST_LOST,
        policy=report.policy.document(),
        qualities=QUALITIES,
        scatters=[Scatter(one) for one in report.planes],
        target_metric=TARGETS[report.scope.constraint],
        wording=wording,
    )
