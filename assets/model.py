"""The model: the best that a search within the time budget finds, registered in MLflow."""

import time
from typing import TYPE_CHECKING

from dagster import AssetExecutionContext, AssetKey, DataVersion, MarkdownMetadataValue, MaterializeResult, asset

from assets.accounting import count_training
from assets.bias_metadata import policy_of
from assets.metadata import mapping_table, markdown_table, materialised
from assets.partitions import DATASETS
from assets.stage import stage
from millrace import __version__
from resources.mlflow import MlflowResource
from resources.pages import PagesResource
from resources.warehouse import WarehouseResource

if TYPE_CHECKING:
    from millrace.contracts.references import Ref
    from millrace.warehouse.stage_work import StageWork
    from millrace.warehouse.store import Warehouse

KEY = "model"
BIAS_OF_MODEL = "model_bias_report"


@asset(
    key=KEY,
    deps=["dataset", "bias_report"],
    partitions_def=DATASETS,
    group_name="models",
    kinds={"mlflow", "flaml"},
    owners=["team:models"],
    code_version=__version__,
    description="A model of the target, found within the time budget, compared with a baseline on rows that the "
    "search never saw, and registered under the data set's name. It takes raw rows.",
)
def model(
    context: AssetExecutionContext, warehouse: WarehouseResource, mlflow: MlflowResource, pages: PagesResource
) -> MaterializeResult:
    """The registered model. Its bias report ends the stage; launched without it, the model does."""
    from millrace.automl.plan import plan_from
    from millrace.automl.registry import register
    from millrace.automl.train import train
    from millrace.bias.accounting.counts import counted_json
    from millrace.warehouse.datasets import read_table
    from millrace.warehouse.saves import Made, save_model

    store = warehouse.open()
    with stage(context, store, "automl") as work:
        began = time.perf_counter()
        frame = read_table(store, work.version)
        plan = plan_from(work.answers, work.settings, time_budget=work.request.time_budget)
        policy = policy_of(work)
        training = train(frame, plan)
        trained = register(
            training,
            tracking_uri=mlflow.uri(),
            key=work.version.key,
            dataset_sha256=work.version.table_sha256,
            tags=_tags(context, store.code_version),
        )
        made = Made(
            asset=KEY,
            inputs=_inputs(store, work),
            parameters=plan.model_dump(mode="json"),
            seed=plan.seed,
            rows_in=len(frame),
            rows_out=training.card.splits.train,
            seconds=time.perf_counter() - began,
        )
        counted = count_training(training, frame, store, work, policy=policy)
        saved = save_model(
            store, work, trained, made=made, announce=not _followed(context), accounting=counted_json(counted)
        )
    return MaterializeResult(
        data_version=DataVersion(saved.tree_sha256),
        metadata={
            **materialised(work, made, code_version=store.code_version),
            "model": f"v{saved.version}",
            "algorithm": saved.algorithm,
            "tree sha256": saved.tree_sha256,
            "mlflow run": saved.mlflow_run_id,
            "mlflow uri": saved.model_uri,
            "page": pages.model(saved.key, saved.version),
            "metrics": _metric_table(saved.metrics),
            "leaderboard": mapping_table(
                ("family", "validation loss"), {one.family: one.loss for one in training.card.leaderboard}
            ),
        },
    )


def _followed(context: AssetExecutionContext) -> bool:
    # the run's plan, not this step's: the bias report is a step of its own
    return AssetKey(BIAS_OF_MODEL) in context.job_def.asset_layer.selected_asset_keys


def _inputs(store: "Warehouse", work: "StageWork") -> "tuple[Ref, ...]":
    from millrace.contracts.references import Ref, dataset_ref, report_ref
    from millrace.warehouse.reports import find_report

    version = work.version
    table = Ref(dataset_ref(version.key, version.version), version.table_sha256, part="table")
    if not work.fenced:
        return (table,)
    with store.read() as session:
        report = find_report(session, version.key, kind="bias", pipeline_id=work.request.pipeline_id)
    return (table,) if report is None else (table, Ref(report_ref(report.report_id), report.json_sha256, part="json"))


def _tags(context: AssetExecutionContext, code_version: str) -> dict[str, str]:
    return {
        "dagster/run-id": context.run.run_id,
        "dagster/asset": KEY,
        "millrace/code-version": code_version,
        "dagster/partition": context.partition_key,
    }


def _metric_table(metrics: dict[str, dict[str, float]]) -> MarkdownMetadataValue:
    splits = list(metrics)
    names = sorted({name for figures in metrics.values() for name in figures})
    return markdown_table(["metric", *splits], [[name, *(metrics[one].get(name) for one in splits)] for name in names])
