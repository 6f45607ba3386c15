"""What each materialisation tells in Dagster: hashes, versions, parameters, rows, seconds, coordinates."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dagster import MarkdownMetadataValue, MetadataValue

if TYPE_CHECKING:
    from millrace.warehouse.stage_work import StageWork
    from millrace.warehouse.statements import Made

MAX_CELL = 60
"""Characters of a cell in a preview; a longer one would push the others out of sight."""


def materialised(work: "StageWork", made: "Made", *, code_version: str) -> dict[str, Any]:
    """The facts that every asset of a stage records."""
    request = work.request
    facts: dict[str, Any] = {
        "data set version": work.version.version,
        "inputs": MetadataValue.json([ref.to_json() for ref in made.inputs]),
        "code version": code_version,
        "parameters": MetadataValue.json(made.parameters),
        "settings from": work.settings_source,
        "approval": work.approval,
        "seconds": round(made.seconds, 3),
    }
    if made.seed is not None:
        facts["seed"] = made.seed
    if made.rows_in is not None:
        facts["rows in"] = made.rows_in
    if made.rows_out is not None:
        facts["rows out"] = made.rows_out
        facts["dagster/row_count"] = made.rows_out
    if request.pipeline_id is not None:
        facts["pipeline"] = request.pipeline_id
        facts["attempt"] = request.attempt
    if request.trigger is not None:
        facts["trigger"] = MetadataValue.json(request.trigger.to_json())
    return facts


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> MarkdownMetadataValue:
    """The rows as a Markdown table; nothing in a cell can break out of it or be taken for HTML."""
    lines = [_line(columns), _line(["---"] * len(columns), raw=True), *(_line(row) for row in rows)]
    return MetadataValue.md("\n".join(lines))


def mapping_table(names: tuple[str, str], values: Mapping[str, Any]) -> MarkdownMetadataValue:
    """A mapping as a Markdown table of two columns."""
    return markdown_table(names, list(values.items()))


def _line(cells: Sequence[Any], *, raw: bool = False) -> str:
    return "| " + " | ".join(str(cell) if raw else _cell(cell) for cell in cells) + " |"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    text = " ".join(text.split())
    text = text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"
    for sign, escaped in (
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("|", "&#124;"),
        ("`", "&#96;"),
        ("[", "&#91;"),
    ):
        text = text.replace(sign, escaped)
    return text.replace("*", "\\*").replace("_", "\\_")
