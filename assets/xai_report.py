"""The explanation as people read it: one page for each level, all from the same result."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dagster import AssetExecutionContext, AssetKey, AssetSpec, DataVersion, MaterializeResult, multi_asset

from assets.explanation import explanation_parameters, read_document
from assets.facts import page_facts
from assets.metadata import materialised
from assets.partitions import DATASETS
from assets.stage import stage
from assets.trained import find_explanation, model_of, work_on
from millrace import __version__
from millrace.contracts.stages import LEVELS, Level
from resources.pages import PagesResource
from resources.warehouse import WarehouseResource

if TYPE_CHECKING:
    from millrace.warehouse.models import ModelFacts
    from millrace.warehouse.reports import ReportFacts
    from millrace.warehouse.stage_work import StageWork
    from millrace.warehouse.store import Warehouse

READERS: dict[Level, str] = {
    "beginner": "Why the model decides as it does, for a reader who has never seen a model.",
    "intermediate": "What drives the model and where it changes its mind, for a reader who works with data.",
    "expert": "Method, output space, additivity, dependence and cases, for a reader who has to challenge the model.",
}


def level_key(level: Level) -> AssetKey:
    """`xai_report/LEVEL`."""
    return AssetKey(["xai_report", level])


@multi_asset(
    name="xai_report",
    specs=[
        AssetSpec(
            level_key(level),
            deps=["explanation"],
            description=READERS[level],
            group_name="explanations",
            kinds={"html"},
            owners=["team:models"],
            code_version=__version__,
            skippable=True,
        )
        for level in LEVELS
    ],
    partitions_def=DATASETS,
    can_subset=True,
)
def xai_report(
    context: AssetExecutionContext, warehouse: WarehouseResource, pages: PagesResource
) -> Iterator[MaterializeResult]:
    """The page of each selected level; the save of a level ends its stage."""
    store = warehouse.open()
    for level in LEVELS:
        if level_key(level) in context.selected_asset_keys:
            yield _materialise(context, store, pages, level)


def _materialise(
    context: AssetExecutionContext, store: "Warehouse", pages: PagesResource, level: Level
) -> MaterializeResult:
    from millrace.contracts.references import Ref, report_ref
    from millrace.explain.pages import PageLink, render_level
    from millrace.explain.result import Explanation
    from millrace.warehouse.saves import Made, save_report

    with stage(context, store, "xai", level=level) as claimed:
        began = time.perf_counter()
        model = model_of(store, claimed)
        work = work_on(store, claimed, model)
        source = _explanation(store, work, model)
        result = Explanation.from_document(read_document(store, source))
        facts = page_facts(work, store, report_hash=result.report_hash, model=f"v{model.version}")
        links = [
            PageLink(f"The same for {other} readers", str(pages.explanation(model.key, other, model.version).value))
            for other in work.settings.levels
            if other != level
        ]
        page = render_level(result, level, facts=facts, card=model.details, links=links)
        made = Made(
            asset=level_key(level).to_user_string(),
            inputs=(Ref(report_ref(source.report_id), source.json_sha256, part="json"),),
            parameters={"level": level},
            seed=None,
            rows_in=result.sample.explained_rows,
            rows_out=None,
            seconds=time.perf_counter() - began,
        )
        saved = save_report(
            store,
            work,
            kind="xai",
            document=result.document(),
            html=page,
            report_hash=result.report_hash,
            summary=source.summary,
            made=made,
            level=level,
            model_version=model.version,
        )
    return MaterializeResult(
        asset_key=level_key(level),
        data_version=DataVersion(saved.report_hash),
        metadata={
            **materialised(work, made, code_version=store.code_version),
            "report hash": saved.report_hash,
            "model": f"v{model.version}",
            "page": pages.explanation(model.key, level, model.version),
            "page bytes": len(page.encode()),
        },
    )


def _explanation(store: "Warehouse", work: "StageWork", model: "ModelFacts") -> "ReportFacts":
    from millrace.contracts.errors import NotFound

    found = find_explanation(store, work, model, explanation_parameters(work, model))
    if found is None:
        raise NotFound(
            f"model v{model.version} of {model.key.partition_key} has not been explained yet by this code",
            field="explanation",
            remedy="launch explanation together with the level: dg launch --assets 'explanation,xai_report/*' "
            f"--partition {model.key.partition_key}",
        )
    return found
