"""The three pages of one explanation: self-contained HTML for three kinds of reader."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from millrace.contracts.canonical import canonical_json
from millrace.contracts.stages import Level
from millrace.explain import words
from millrace.explain.drawings import EffectPlot, tick_label, waterfall
from millrace.explain.result import Dependence, Explanation
from millrace.pages import Chart, Mark, PageFacts, environment

BEGINNER_FACTORS = 5
CHART_FACTORS = 15
TABLE_ROWS = 1_000
"""Rows of the expert's tables: 1,000 columns in five tables stay under 3 MB."""
RAW_BYTES = 500_000
"""Largest document that is offered for download inside the page."""


@dataclass(frozen=True)
class PageLink:
    """A page that a reader may want next; `url` as the server has it."""

    text: str
    url: str


def render_level(
    explanation: Explanation,
    level: Level,
    *,
    facts: PageFacts,
    card: Mapping[str, Any] | None = None,
    links: Sequence[PageLink] = (),
) -> str:
    """HTML of one level. `card` is the model's card as recorded with it (`models.details`), shown to experts."""
    template = environment("millrace.explain").get_template(f"{level}.html")
    return template.render(
        e=explanation,
        facts=facts,
        card=card,
        links=[link for link in links if link.url.startswith(("/", "#", "http://", "https://"))],
        level=level,
        report_hash=explanation.report_hash,
        words=words,
        trust=words.trust(explanation),
        outcome=words.outcome(explanation),
        dependence={found.name: found for found in explanation.dependence},
        factors=[found for found in explanation.features if found.importance > 0][:BEGINNER_FACTORS],
        importance=_importance(explanation),
        effect_plot=EffectPlot,
        waterfall=waterfall,
        tick_label=tick_label,
        describe=_describe,
        output_name=_output_name(explanation),
        table_rows=TABLE_ROWS,
        raw=_raw(explanation) if level == "expert" else None,
        unusual=_unusual(explanation),
    )


def _importance(explanation: Explanation) -> Chart:
    shown = [effect for effect in explanation.features if effect.importance > 0][:CHART_FACTORS]
    signs = {"raises": "larger values raise it", "lowers": "larger values lower it", "mixed": "no single direction"}
    return Chart(
        title="Importance of the columns",
        description="Mean absolute SHAP value of each column with an interval of two standard errors. "
        + ", ".join(f"{effect.name} {effect.importance:.3g}" for effect in shown[:5]),
        marks=tuple(
            Mark(
                label=effect.name,
                value=effect.importance,
                low=max(0.0, effect.importance - 2 * effect.standard_error),
                high=effect.importance + 2 * effect.standard_error,
                note="depends on the category" if effect.kind == "category" else signs[effect.direction],
            )
            for effect in shown
        ),
        kind="bar",
        unit="number",
    )


def _describe(dependence: Dependence) -> str:
    return "; ".join(f"{found.label}: {found.effect:+.3g} ({found.count} rows)" for found in dependence.bins)


def _output_name(explanation: Explanation) -> str:
    if explanation.output_space == "log-odds":
        return "log-odds"
    return "probability" if explanation.output_space == "probability" else f"units of “{explanation.target[:60]}”"


def _raw(explanation: Explanation) -> str | None:
    text = canonical_json(explanation.document()).encode()
    return base64.b64encode(text).decode() if len(text) <= RAW_BYTES else None


def _unusual(explanation: Explanation) -> list[str]:
    """Things that a reader of any level should hear about first."""
    found = []
    leading = explanation.features[0] if explanation.features else None
    if leading is not None and leading.share > 0.6 and len(explanation.features) > 2:
        found.append(
            f"One column, “{leading.name[:80]}”, carries {leading.share * 100:.0f}% of all effects. "
            "Make sure that it is known at the moment of the prediction and does not simply repeat the answer."
        )
    train, test = explanation.metrics.get("train", {}), explanation.metrics.get("test", {})
    for name, limit in (("accuracy", 0.1), ("r2", 0.15)):
        if name in train and name in test and train[name] - test[name] > limit:
            found.append("The model does clearly better on the rows it learnt from than on rows it never saw.")
    if explanation.sample.explained_rows < 100:
        found.append(f"Only {explanation.sample.explained_rows} rows could be explained: take the figures as rough.")
    return found
