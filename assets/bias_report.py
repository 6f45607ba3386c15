"""Bias in the label, before anything is learnt from it."""

import time
from dataclasses import replace

from dagster import AssetExecutionContext, DataVersion, MaterializeResult, asset

from assets.accounting import account_for_label
from assets.bias_metadata import policy_check, policy_facts, policy_of, policy_spec, source_of, verdict_table
from assets.facts import page_facts
from assets.metadata import materialised
from assets.partitions import DATASETS
from assets.previous import with_previous
from assets.stage import stage
from millrace import __version__
from resources.pages import PagesResource
from resources.warehouse import WarehouseResource

KEY = "bias_report"


@asset(
    key=KEY,
    deps=["dataset", "data_quality"],
    partitions_def=DATASETS,
    check_specs=[policy_spec(KEY)],
    group_name="governance",
    kinds={"scipy"},
    owners=["team:governance"],
    code_version=__version__,
    description="How the outcome in the data differs between groups of people, with intervals: a verdict never rests "
    "on a point estimate alone.",
)
def bias_report(
    context: AssetExecutionContext, warehouse: WarehouseResource, pages: PagesResource
) -> MaterializeResult:
    """The bias report on the label; its save ends the stage."""
    from millrace.bias.label import measure_label_bias
    from millrace.bias.origin import whole_document
    from millrace.bias.page import render_bias_page
    from millrace.bias.proxies_and_shift import add_proxies_and_shift
    from millrace.contracts.references import Ref, dataset_ref
    from millrace.warehouse.datasets import read_table
    from millrace.warehouse.saves import Made, save_report

    store = warehouse.open()
    with stage(context, store, "bias") as work:
        began = time.perf_counter()
        version, answers, seed = work.version, work.answers, work.settings.seed
        frame = read_table(store, version)
        policy = policy_of(work)
        report = measure_label_bias(frame, answers=answers, seed=seed, policy=policy)
        steps, checked = account_for_label(frame, store, work, policy=policy)
        report = replace(report, parts=(*report.parts, steps))
        report = add_proxies_and_shift(report, frame, answers=answers)
        report, before = with_previous(report, store, work, kind="bias")
        page = render_bias_page(report, facts=page_facts(work, store, report_hash=report.report_hash))
        made = Made(
            asset=KEY,
            inputs=(
                Ref(dataset_ref(version.key, version.version), version.table_sha256, part="table"),
                *checked,
                *before,
            ),
            parameters=answers.model_dump(mode="json") | policy_facts(policy),
            seed=seed,
            rows_in=len(frame),
            rows_out=None,
            seconds=time.perf_counter() - began,
        )
        saved = save_report(
            store,
            work,
            kind="bias",
            document=whole_document(report, source_of(work)),
            html=page,
            report_hash=report.report_hash,
            summary=report.summary,
            made=made,
        )
    return MaterializeResult(
        data_version=DataVersion(saved.report_hash),
        metadata={
            **materialised(work, made, code_version=store.code_version),
            "report hash": saved.report_hash,
            "page": pages.report("bias", saved.report_id),
            "verdicts": verdict_table(report.verdicts),
        },
        check_results=[policy_check(KEY, report)],
    )
