"""Data quality: can this table be measured and learnt from at all?"""

import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    DataVersion,
    MaterializeResult,
    MetadataValue,
    PreviewWarning,
    asset,
)

from assets.facts import page_facts
from assets.metadata import mapping_table, materialised
from assets.partitions import DATASETS
from assets.stage import stage
from millrace import __version__
from millrace.contracts.errors import StageFailed
from millrace.quality.checks import CHECKS
from resources.pages import PagesResource
from resources.warehouse import WarehouseResource

if TYPE_CHECKING:
    from millrace.quality.report import Outcome

KEY = "data_quality"


def _check_specs() -> list[AssetCheckSpec]:
    with warnings.catch_warnings():
        # checks by partition are a preview in Dagster 1.13; without them one data set's result hides all the others'
        warnings.simplefilter("ignore", PreviewWarning)
        return [
            AssetCheckSpec(
                check.name,
                asset=KEY,
                description=check.description,
                blocking=check.blocking,
                partitions_def=DATASETS,
            )
            for check in CHECKS
        ]


@asset(
    key=KEY,
    deps=["dataset"],
    partitions_def=DATASETS,
    check_specs=_check_specs(),
    group_name="governance",
    kinds={"greatexpectations"},
    owners=["team:governance"],
    code_version=__version__,
    description="Whether the table can be measured and learnt from: expectations generated from its profile and the "
    "task. A blocking check that fails holds back everything after it.",
)
def data_quality(
    context: AssetExecutionContext, warehouse: WarehouseResource, pages: PagesResource
) -> MaterializeResult:
    """The quality report, and a result for every check of the vocabulary."""
    from millrace.contracts.references import Ref, dataset_ref
    from millrace.quality.page import render_quality_page
    from millrace.quality.suite import assess
    from millrace.warehouse.datasets import read_table
    from millrace.warehouse.saves import Made, save_report
    from millrace.warehouse.stage_work import fail

    store = warehouse.open()
    with stage(context, store, "bias") as work:
        began = time.perf_counter()
        version, answers = work.version, work.answers
        frame = read_table(store, version)
        report = assess(frame, target=answers.target, task_type=answers.task_type, profile=version.profile)
        page = render_quality_page(report, facts=page_facts(work, store, report_hash=report.report_hash))
        made = Made(
            asset=KEY,
            inputs=(Ref(dataset_ref(version.key, version.version), version.table_sha256, part="table"),),
            parameters={"target": answers.target, "task_type": answers.task_type},
            seed=None,
            rows_in=len(frame),
            rows_out=None,
            seconds=time.perf_counter() - began,
        )
        saved = save_report(
            store,
            work,
            kind="quality",
            document=report.to_document(),
            html=page,
            report_hash=report.report_hash,
            summary={
                "blocked": [one.name for one in report.blocked],
                "warnings": [one.name for one in report.warnings],
            },
            made=made,
        )
        if report.blocked:
            error = stage_failure(report.blocked)
            fail(store, work.request, error_class="StageFailed", message=str(error), transient=False)
            context.log.error(str(error))
    return MaterializeResult(
        data_version=DataVersion(saved.report_hash),
        metadata={
            **materialised(work, made, code_version=store.code_version),
            "report hash": saved.report_hash,
            "page": pages.report("quality", saved.report_id),
            "checks": mapping_table(
                ("check", "what was found"),
                {one.name: f"{'passed' if one.passed else 'FAILED'}: {one.message}" for one in report.outcomes},
            ),
        },
        check_results=[_result(one) for one in report.outcomes],
    )


def stage_failure(blocking: "Sequence[Outcome]") -> StageFailed:
    """The error of a stage whose blocking checks failed: names each of them and what to do."""
    found = "; ".join(f"{one.name}: {one.message}" for one in blocking)
    return StageFailed(
        f"data quality holds the data set back ({found})",
        field="target",
        remedy="upload a corrected file, or choose another target with `millrace pipeline answer`",
    )


def _result(outcome: "Outcome") -> AssetCheckResult:
    severity = AssetCheckSeverity.ERROR if outcome.blocking else AssetCheckSeverity.WARN
    return AssetCheckResult(
        check_name=outcome.name,
        passed=outcome.passed,
        severity=severity,
        description=outcome.message,
        metadata={"details": MetadataValue.json(outcome.details)},
    )
