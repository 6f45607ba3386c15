"""Ways to make the model's decisions more alike between groups: asked for by a person, and decided about by one."""

import time

from dagster import AssetExecutionContext, Config, DataVersion, MaterializeResult, asset
from pydantic import Field

from assets.bias_metadata import policy_facts, policy_of, source_of
from assets.facts import page_facts
from assets.metadata import markdown_table, materialised
from assets.mitigated import asked, keep_candidate, run_mitigation
from assets.partitions import DATASETS
from assets.stage import stage
from assets.trained import model_of, refs_of, work_on
from millrace import __version__
from resources.mlflow import MlflowResource
from resources.pages import PagesResource
from resources.warehouse import WarehouseResource

KEY = "bias_mitigation"


class MitigationConfig(Config):
    """What to try. Nothing needs to be given."""

    methods: str = Field("all", description="reweighing, correlation-remover, exponentiated-gradient, "
                         "threshold-optimizer, several with commas between them, or all.")  # fmt: skip
    attribute: str = Field("", description="Sensitive column to treat, several are crossed; empty: the worst verdict.")
    aim: str = Field("demographic-parity", description="demographic-parity or equalized-odds.")
    candidate: str = Field("recommended", description="Whose model is registered: recommended, none, or a method.")


@asset(
    key=KEY,
    deps=["dataset", "model"],
    partitions_def=DATASETS,
    group_name="governance",
    kinds={"mlflow", "scipy"},
    owners=["team:governance"],
    code_version=__version__,
    description="Methods against bias, each with accuracy, calibration and every gap before and after on rows that "
    "training never saw. The recommended model is registered as a candidate beside the data set's own models; it "
    "replaces none of them.",
)
def bias_mitigation(
    context: AssetExecutionContext,
    config: MitigationConfig,
    warehouse: WarehouseResource,
    mlflow: MlflowResource,
    pages: PagesResource,
) -> MaterializeResult:
    """The mitigation report, and a candidate in MLflow where one is worth a look."""
    from millrace.automl.result import ModelCard
    from millrace.bias.mitigation.page import render_mitigation_page
    from millrace.bias.origin import software
    from millrace.warehouse.datasets import read_table
    from millrace.warehouse.saves import Made, save_report

    store = warehouse.open()
    with stage(context, store, "automl") as claimed:
        began = time.perf_counter()
        wanted = asked(methods=config.methods, attribute=config.attribute, aim=config.aim, candidate=config.candidate)
        model = model_of(store, claimed)
        work = work_on(store, claimed, model)
        frame, seed, policy = read_table(store, work.version), work.settings.seed, policy_of(work)
        card, pipeline = ModelCard.model_validate(model.details), mlflow.predictor(model)
        done = run_mitigation(wanted, frame, pipeline, card=card, answers=work.answers, policy=policy, seed=seed)
        report = done.report
        kept = keep_candidate(
            wanted, done, pipeline, frame=frame, card=card, key=work.version.key, tracking_uri=mlflow.uri(),
            tags={
                "dagster/run-id": context.run.run_id,
                "dagster/asset": KEY,
                "dagster/partition": context.partition_key,
                "millrace/code-version": store.code_version,
                "millrace/data-sha256": work.version.table_sha256,
                "millrace/model": f"v{model.version}",
            },
        )  # fmt: skip
        candidate = None if kept is None else kept[1]
        made = Made(
            asset=KEY,
            inputs=refs_of(work, model),
            parameters={
                **work.answers.model_dump(mode="json"),
                **policy_facts(policy),
                "methods": list(wanted.methods),
                "attribute": report.scope.attribute,
                "aim": wanted.constraint,
                "candidate": None if kept is None else kept[0],
            },
            seed=seed,
            rows_in=report.scope.train_rows + report.scope.test_rows,
            rows_out=report.scope.test_rows,
            seconds=time.perf_counter() - began,
        )
        facts = page_facts(work, store, report_hash=report.report_hash, model=f"v{model.version}")
        saved = save_report(
            store,
            work,
            kind="mitigation",
            document={
                **report.document(),
                "report_hash": report.report_hash,
                "input": source_of(work, model).model_dump(mode="json", exclude_none=True),
                "software": software(),
            },
            html=render_mitigation_page(report, facts=facts),
            report_hash=report.report_hash,
            summary={
                "recommended": report.recommendation.method,
                "warnings": len(report.warnings),
                **({} if candidate is None else {"candidate": candidate.to_json()}),
            },
            made=made,
            model_version=model.version,
            beside=() if candidate is None else (candidate.ref,),
        )
    return MaterializeResult(
        data_version=DataVersion(saved.report_hash),
        metadata={
            **materialised(work, made, code_version=store.code_version),
            "report hash": saved.report_hash,
            "model": f"v{model.version}",
            "page": pages.report("mitigation", saved.report_id),
            "recommendation": report.recommendation.reason,
            "candidate": "none" if candidate is None else candidate.model_uri,
            "warnings": markdown_table(("warning",), [[text] for text in report.warnings[:20]]),
        },
    )
