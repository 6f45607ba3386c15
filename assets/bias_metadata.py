"""Verdicts of a bias report as Dagster shows them."""

from collections.abc import Sequence
from typing import Any

from dagster import MarkdownMetadataValue

from assets.metadata import markdown_table

COLUMNS = ("attribute", "metric", "value", "low", "high", "verdict")


def verdict_table(verdicts: Sequence[dict[str, Any]]) -> MarkdownMetadataValue:
    """One line for each attribute and metric, with the interval that the verdict rests on."""
    return markdown_table(COLUMNS, [[verdict.get(name) for name in COLUMNS] for verdict in verdicts])
