"""Bias of the model's predictions, on rows that it was not trained on."""

import time
from dataclasses import replace

from dagster import AssetExecutionContext, DataVersion, MaterializeResult, asset

from assets.bias_metadata import policy_check, policy_facts, policy_of, policy_spec, source_of, verdict_table
from assets.facts import page_facts
from assets.metadata import materialised
from assets.partitions import DATASETS
from assets.previous import with_previous
from assets.stage import stage
from assets.trained import model_of, refs_of, work_on
from millrace import __version__
from resources.mlflow import MlflowResource
from resources.pages import PagesResource
from resources.warehouse import WarehouseResource

KEY = "model_bias_report"


@asset(
    key=KEY,
    deps=["dataset", "model"],
    partitions_def=DATASETS,
    check_specs=[policy_spec(KEY)],
    group_name="governance",
    kinds={"scipy"},
    owners=["team:governance"],
    code_version=__version__,
    description="How the model's decisions and errors differ between groups of people, on rows that training never "
    "saw.",
)
def model_bias_report(
    context: AssetExecutionContext, warehouse: WarehouseResource, mlflow: MlflowResource, pages: PagesResource
) -> MaterializeResult:
    """The bias report on the model; in the run that trained the model, the stage ends with it."""
    import pandas as pd

    from millrace.automl.result import ModelCard
    from millrace.automl.split import holdout_positions
    from millrace.bias.counterfactual import change_sensitive
    from millrace.bias.origin import whole_document
    from millrace.bias.page import render_bias_page
    from millrace.bias.predictions import measure_model_bias
    from millrace.bias.proxies_and_shift import add_proxies_and_shift
    from millrace.bias.scores import favourable_scores
    from millrace.warehouse.datasets import read_table
    from millrace.warehouse.saves import Made, announce_model, save_report

    store = warehouse.open()
    with stage(context, store, "automl") as claimed:
        began = time.perf_counter()
        model = model_of(store, claimed)
        work = work_on(store, claimed, model)
        frame, seed = read_table(store, work.version), work.settings.seed
        unseen = frame.iloc[holdout_positions(frame, ModelCard.model_validate(model.details))]
        policy, predictor = policy_of(work), mlflow.predictor(model)
        said = pd.Series(predictor.predict(unseen), index=unseen.index)
        report = measure_model_bias(
            unseen[work.answers.target],
            said,
            unseen[list(work.answers.sensitive)],
            answers=work.answers,
            seed=seed,
            policy=policy,
            scores=favourable_scores(predictor, unseen, work.answers.positive),
            features=unseen.drop(columns=[work.answers.target, *work.answers.sensitive]),
        )
        asked = change_sensitive(predictor.predict, unseen, answers=work.answers, used=None, policy=policy, seed=seed)
        report = replace(report, parts=(*report.parts, asked))
        report = add_proxies_and_shift(report, unseen, answers=work.answers, predictions=said)
        report, before = with_previous(report, store, work, kind="model_bias", model_version=model.version)
        facts = page_facts(work, store, report_hash=report.report_hash, model=f"v{model.version}")
        page = render_bias_page(report, facts=facts)
        made = Made(
            asset=KEY,
            inputs=(*refs_of(work, model), *before),
            parameters=work.answers.model_dump(mode="json") | policy_facts(policy),
            seed=seed,
            rows_in=len(unseen),
            rows_out=None,
            seconds=time.perf_counter() - began,
        )
        saved = save_report(
            store,
            work,
            kind="model_bias",
            document=whole_document(report, source_of(work, model)),
            html=page,
            report_hash=report.report_hash,
            summary=report.summary,
            made=made,
            model_version=model.version,
        )
        announce_model(store, work, model)
    return MaterializeResult(
        data_version=DataVersion(saved.report_hash),
        metadata={
            **materialised(work, made, code_version=store.code_version),
            "report hash": saved.report_hash,
            "model": f"v{model.version}",
            "page": pages.report("model_bias", saved.report_id),
            "verdicts": verdict_table(report.verdicts),
        },
        check_results=[policy_check(KEY, report)],
    )
