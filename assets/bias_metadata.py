"""What both bias reports say of themselves: verdicts as Dagster shows them, and the bytes that were measured."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dagster import MarkdownMetadataValue

from assets.metadata import markdown_table

if TYPE_CHECKING:
    from millrace.bias.origin import Source
    from millrace.warehouse.models import ModelFacts
    from millrace.warehouse.stage_work import StageWork

COLUMNS = ("attribute", "metric", "value", "low", "high", "verdict")


def verdict_table(verdicts: Sequence[dict[str, Any]]) -> MarkdownMetadataValue:
    """One line for each attribute and metric, with the interval that the verdict rests on."""
    return markdown_table(COLUMNS, [[verdict.get(name) for name in COLUMNS] for verdict in verdicts])


def source_of(work: "StageWork", model: "ModelFacts | None" = None) -> "Source":
    """The data set version, and the model whose predictions were measured."""
    from millrace.bias.origin import Source

    version = work.version
    return Source(
        sha256=version.sha256,
        dataset=version.key.partition_key,
        version=version.version,
        table_sha256=version.table_sha256,
        model=None if model is None else f"v{model.version}",
        model_sha256=None if model is None else model.tree_sha256,
    )
