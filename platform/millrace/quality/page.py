"""The page of the checks: self-contained HTML."""

from millrace.pages import PageFacts, environment
from millrace.quality.checks import CHECKS
from millrace.quality.report import QualityReport


def render_quality_page(report: QualityReport, *, facts: PageFacts) -> str:
    """HTML of the report, without scripts and without anything from the network."""
    described = {spec.name: spec.description for spec in CHECKS}
    template = environment("millrace.quality").get_template("quality.html")
    return template.render(report=report, facts=facts, described=described)
