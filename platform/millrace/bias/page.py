"""The page of a bias report: one self-contained HTML file, one result, three levels of reading."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from markupsafe import Markup

from millrace.bias import wording
from millrace.bias.advice import recommendations, residual_risks
from millrace.bias.catalogue import CATALOGUE
from millrace.bias.narrative import worst_subgroup
from millrace.bias.parts import PlainPart
from millrace.bias.script import SCRIPT, SCRIPT_SOURCE
from millrace.bias.sections import SECTIONS, VIEWS
from millrace.bias.views import LISTED, attribute_view, crossing_view
from millrace.pages import environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from millrace.bias.parts import Told
    from millrace.bias.report import BiasReport
    from millrace.pages import PageFacts


def render_bias_page(report: BiasReport, *, facts: PageFacts) -> str:
    """HTML of the report, with one script of ours and nothing from the network; without scripts it is complete too.

    One page serves labels and models, classification and regression. Every figure carries the JSON pointer under which
    the report's document has it (`data-figure`).
    """
    template = environment("millrace.bias").get_template("bias.html")
    # rendered without any escaping, as a browser takes it: it is ours, and the policy names its hash
    script = Markup(SCRIPT)
    return template.render(
        report=report,
        facts=facts,
        contents=SECTIONS,
        views=VIEWS,
        attributes=[attribute_view(report, place) for place in range(len(report.attributes))],
        crossings=[crossing_view(report, place) for place in range(len(report.crossings))],
        worst=_worst(report),
        told_by_parts=_told(report),
        recommendations=recommendations(report),
        residual_risks=residual_risks(report),
        valid_until=None if facts.created_at is None else facts.created_at + timedelta(days=report.policy.valid_days),
        catalogue=CATALOGUE,
        listed=LISTED,
        policy=report.policy.document(),
        wording=wording,
        script=script,
        script_source=SCRIPT_SOURCE,
    )


def _told(report: BiasReport) -> list[tuple[str, Sequence[Told]]]:
    """What the parts say in plain words: heading and sentences of each that says anything."""
    found = [part.plain(f"/parts/{part.name}") for part in report.parts if isinstance(part, PlainPart)]
    return [(heading, sentences) for heading, sentences in found if sentences]


def _worst(report: BiasReport) -> list[object]:
    """The worst subgroup of each search that is worse than chance would make it, in words."""
    level = 1 - report.policy.confidence
    return [
        worst_subgroup(search.subgroups[0], f"/searches/{place}/subgroups/0", search.metric)
        for place, search in enumerate(report.searches)
        if search.subgroups and search.subgroups[0].p <= level and search.outcome is None
    ]
