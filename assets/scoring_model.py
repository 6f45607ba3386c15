"""What a stream scores with: chosen, measured on golden texts, registered in MLflow, and pinned."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    Config,
    DataVersion,
    MaterializeResult,
    MetadataValue,
    asset,
)
from pydantic import Field

from assets.metadata import markdown_table
from assets.stage import reported
from millrace import __version__
from resources.warehouse import WarehouseResource

if TYPE_CHECKING:
    from millrace.warehouse.statements import Statement

KEY = AssetKey("scoring_model")
STREAM = "score_events"


class ScoringModelConfig(Config):
    """Which model."""

    source: str = Field(
        default="",
        description="Hub id, folder, vader, models:/user.dataset/3, models:/user.dataset@champion, or "
        "models:/score_events/2 to go back; empty keeps what is pinned, and chooses by MILLRACE_SCORING_MODEL where "
        "nothing is.",
    )


@asset(
    key=KEY,
    deps=["model"],
    group_name="streams",
    kinds={"mlflow"},
    owners=["team:models"],
    code_version=__version__,
    description="The model that scores events: a classifier of text, a registered model, or VADER. Its forms are timed "
    "and compared on golden texts; what is chosen is registered in MLflow and pinned, and never changes by itself. "
    "Materialise it with a source to put another one in its place; running processes take it up within seconds.",
)
def scoring_model(
    context: AssetExecutionContext, config: ScoringModelConfig, warehouse: WarehouseResource
) -> MaterializeResult:
    """The pinned model, with the hashes of its files and the figures of its candidates."""
    from millrace.text.adopt import adopt, settled
    from millrace.text.pinned import scorer_of

    settings, store = warehouse.settings(), warehouse.open()
    run_id = context.run.run_id
    actor = f"dagster:{run_id}"
    with reported():
        if config.source:
            pinned = adopt(settings, store, STREAM, config.source, actor=actor, run_id=run_id)
        else:
            pinned = settled(settings, store, STREAM, actor=actor, run_id=run_id)
            scorer_of(pinned, settings)
    return MaterializeResult(data_version=DataVersion(pinned["tree_sha256"]), metadata=_metadata(pinned, actor))


def materialisation(statement: "Statement", pinned: Mapping[str, Any]) -> AssetMaterialization:
    """A choice that was made elsewhere (on the command line, by a stream's first start), as Dagster shows it."""
    return AssetMaterialization(
        asset_key=KEY,
        description=f"chosen by {statement.parameters['chosen by']}",
        metadata=_metadata(pinned, statement.parameters["chosen by"])
        | {"statement sha256": statement.statement_sha256, "chosen at": MetadataValue.timestamp(statement.created_at)},
        tags={"dagster/data_version": pinned["tree_sha256"]},
    )


def _metadata(pinned: Mapping[str, Any], actor: str) -> dict[str, Any]:
    names = ("form", "texts_per_second", "accuracy", "agreement", "loss_points", "refused")
    shown = {
        "scoring model": pinned["ref"],
        "source": pinned["source"],
        "follows": pinned.get("follows"),
        "revision": pinned.get("revision"),
        "version": pinned["version"],
        "form": pinned["form"],
        "column": pinned.get("column"),
        "labels": ", ".join(pinned["labels"]) if "labels" in pinned else None,
        "chosen by": actor,
        "instead of": pinned.get("instead_of"),
        "mlflow run": pinned["mlflow_run_id"],
        "mlflow uri": pinned["registered"],
        "tree sha256": pinned["tree_sha256"],
        "files sha256": pinned.get("files_sha256"),
        "files": MetadataValue.json(pinned.get("files", [])),
        "candidates": markdown_table(
            [name.replace("_", " ") for name in names],
            [[one[name] for name in names] for one in pinned.get("candidates", ())],
        ),
    }
    return {name: value for name, value in shown.items() if value is not None}
