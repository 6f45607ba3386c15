"""The model's bias report and the mitigation of what it finds: one step, so that the report can tell of both."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from dagster import AssetExecutionContext, AssetKey, MaterializeResult, multi_asset

from assets import bias_mitigation, model_bias_report
from assets.accounting import account_for_model
from assets.bias_metadata import policy_spec
from assets.bias_mitigation import Mitigation, MitigationConfig, asked_by_policy, make_mitigation
from assets.stage import stage
from assets.trained import Trained, trained_of
from millrace.contracts.errors import BadInput, StageFailed
from resources.mlflow import MlflowResource
from resources.pages import PagesResource
from resources.warehouse import WarehouseResource

if TYPE_CHECKING:
    from millrace.bias.report import BiasReport


@multi_asset(
    name="model_bias",
    specs=[model_bias_report.SPEC, bias_mitigation.SPEC],
    check_specs=[policy_spec(model_bias_report.KEY)],
    can_subset=True,
)
def model_bias(
    context: AssetExecutionContext,
    config: MitigationConfig,
    warehouse: WarehouseResource,
    mlflow: MlflowResource,
    pages: PagesResource,
) -> Iterator[MaterializeResult]:
    """What the run selects: a mitigation that a person asks for, or the bias report with what its policy asks for.

    In the run that trained the model, the stage ends with the report.
    """
    selected = {
        one.KEY for one in (model_bias_report, bias_mitigation) if AssetKey(one.KEY) in context.selected_asset_keys
    }
    store = warehouse.open()
    with stage(context, store, "automl") as claimed:
        wanted, began = config.read(), time.perf_counter()
        trained = trained_of(store, claimed, mlflow)
        if model_bias_report.KEY not in selected:
            asked = make_mitigation(context, trained, wanted, by="person", tracking_uri=mlflow.uri(), pages=pages)
            results = [asked.result]
        else:
            report = model_bias_report.measure(trained)
            made, could_not = None, None
            if bias_mitigation.KEY in selected:
                made, could_not = mitigate_by_policy(context, trained, report, tracking_uri=mlflow.uri(), pages=pages)
            steps, counts = account_for_model(trained)
            report = replace(report, parts=(*report.parts, *steps))
            section, used = model_bias_report.section_of_mitigation(trained, made, could_not=could_not)
            if section is not None:
                report = replace(report, parts=(*report.parts, section))
            saved = model_bias_report.save(trained, report, used=(*counts, *used), began=began, pages=pages)
            results = [saved, *(() if made is None else (made.result,))]
    yield from results


def mitigate_by_policy(
    context: AssetExecutionContext,
    trained: Trained,
    report: "BiasReport",
    *,
    tracking_uri: str,
    pages: PagesResource,
) -> tuple[Mitigation | None, str | None]:
    """The mitigation that the policy asks for, or why it could not be done; neither where it asks for none.

    Raises:
        CannotReach: the MLflow server does not answer.
    """
    rule = trained.policy.mitigation
    if rule is None or not rule.asks(report.verdict):
        return None, None
    try:
        made = make_mitigation(
            context, trained, asked_by_policy(rule), by="policy", tracking_uri=tracking_uri, pages=pages
        )
    except (BadInput, StageFailed) as error:
        # a model that cannot be mitigated is no failed training: its report says why
        context.log.warning(f"the mitigation that the policy asks for could not be done: {error}")
        return None, error.message
    return made, None
