"""The explanation: SHAP values of the model, computed once and told at three levels."""

import time
from typing import TYPE_CHECKING, Any

from dagster import AssetExecutionContext, DataVersion, MaterializeResult, asset

from assets.metadata import markdown_table, materialised
from assets.partitions import DATASETS
from assets.plots import bar_plot
from assets.stage import stage
from assets.trained import find_explanation, model_of, refs_of, work_on
from millrace import __version__
from millrace.warehouse.once import once
from resources.mlflow import MlflowResource
from resources.pages import PagesResource
from resources.warehouse import WarehouseResource

if TYPE_CHECKING:
    from millrace.explain.result import Explanation
    from millrace.warehouse.models import ModelFacts
    from millrace.warehouse.reports import ReportFacts
    from millrace.warehouse.stage_work import StageWork
    from millrace.warehouse.statements import Made
    from millrace.warehouse.store import Warehouse

KEY = "explanation"
SHOWN_FEATURES = 20


@asset(
    key=KEY,
    deps=["dataset", "model"],
    partitions_def=DATASETS,
    group_name="explanations",
    kinds={"shap"},
    owners=["team:models"],
    code_version=__version__,
    description="Why the model decides as it does: SHAP values over the rows, checked to add up to its output. "
    "Computed once for the same model, table and settings, and reused by every level.",
)
def explanation(
    context: AssetExecutionContext, warehouse: WarehouseResource, mlflow: MlflowResource, pages: PagesResource
) -> MaterializeResult:
    """The explanation of the model: the one that is there for the same inputs, or a new one."""
    from millrace.explain.result import Explanation

    store = warehouse.open()
    with stage(context, store, "xai") as claimed:
        began = time.perf_counter()
        model = model_of(store, claimed)
        work = work_on(store, claimed, model)
        parameters = explanation_parameters(work, model)
        # the runs of three levels arrive together: the first computes, the others wait for it here
        key = [work.version.table_sha256, model.tree_sha256, store.code_version, parameters]
        with once(warehouse.settings().home / "locks", key):
            report = find_explanation(store, work, model, parameters)
            reused = report is not None
            if report is None:
                report = _compute(store, work, model, mlflow, parameters, began)
        result = Explanation.from_document(read_document(store, report))
    made = _made(work, model, parameters, result, time.perf_counter() - began)
    return MaterializeResult(
        data_version=DataVersion(report.report_hash),
        metadata={
            **materialised(work, made, code_version=store.code_version),
            "report hash": report.report_hash,
            "reused": reused,
            "model": f"v{model.version}",
            "document": pages.report("explanation", report.report_id, page=False),
            "method": result.method,
            "additivity residual": result.additivity.residual,
            "importance plot": bar_plot(
                "mean |SHAP|", [(one.name, one.importance) for one in result.features[:SHOWN_FEATURES]]
            ),
            "importance": markdown_table(
                ("feature", "mean |SHAP|", "share", "direction"),
                [[one.name, one.importance, one.share, one.direction] for one in result.features[:SHOWN_FEATURES]],
            ),
        },
    )


def explanation_parameters(work: "StageWork", model: "ModelFacts") -> dict[str, Any]:
    """What decides the explanation beside the table, the model and the code."""
    return {"target": model.target_column, "task_type": model.task_type, "seed": work.settings.seed}


def read_document(store: "Warehouse", report: "ReportFacts") -> dict[str, Any]:
    """The report's JSON document."""
    import json

    document: dict[str, Any] = json.loads(store.artifacts.read_bytes(report.json_sha256))
    return document


def _compute(
    store: "Warehouse",
    work: "StageWork",
    model: "ModelFacts",
    mlflow: MlflowResource,
    parameters: dict[str, Any],
    began: float,
) -> "ReportFacts":
    from millrace.automl.result import ModelCard
    from millrace.automl.split import holdout_positions
    from millrace.explain.compute import explain
    from millrace.warehouse.datasets import read_table
    from millrace.warehouse.reports import get_report
    from millrace.warehouse.saves import save_report

    frame = read_table(store, work.version)
    card = ModelCard.model_validate(model.details)
    result = explain(
        mlflow.predictor(model),
        frame,
        target=card.target,
        task_type=card.task_type,
        features=card.feature_names,
        seed=work.settings.seed,
        positive=card.positive,
        holdout=holdout_positions(frame, card).tolist(),
        metrics=model.metrics,
    )
    saved = save_report(
        store,
        work,
        kind="explanation",
        document=result.document(),
        html=None,
        report_hash=result.report_hash,
        summary={"method": result.method, "features": [one.name for one in result.features[:SHOWN_FEATURES]]},
        made=_made(work, model, parameters, result, time.perf_counter() - began),
        model_version=model.version,
    )
    with store.read() as session:
        return get_report(session, saved.report_id)


def _made(
    work: "StageWork", model: "ModelFacts", parameters: dict[str, Any], result: "Explanation", seconds: float
) -> "Made":
    from millrace.warehouse.statements import Made

    return Made(
        asset=KEY,
        inputs=refs_of(work, model),
        parameters=parameters,
        seed=work.settings.seed,
        rows_in=result.sample.table_rows,
        rows_out=result.sample.explained_rows,
        seconds=seconds,
    )
