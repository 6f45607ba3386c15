"""Ways to make the model's decisions more alike: a person or the policy asks for them, and a person decides."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dagster import AssetExecutionContext, AssetSpec, Config, DataVersion, MaterializeResult
from pydantic import Field

from assets.bias_metadata import policy_facts, source_of
from assets.facts import page_facts
from assets.metadata import markdown_table, materialised
from assets.mitigated import Asked, asked, keep_candidate, run_mitigation
from assets.partitions import DATASETS
from assets.trained import Trained, refs_of
from millrace import __version__
from resources.pages import PagesResource

if TYPE_CHECKING:
    from millrace.bias.mitigation.rule import MitigationRule
    from millrace.bias.mitigation.section import Asker
    from millrace.warehouse.saves import SavedReport

KEY = "bias_mitigation"


class MitigationConfig(Config):
    """What a person asks for. Nothing needs to be given; beside `model_bias_report` the policy asks, not this."""

    methods: str = Field("all", description="reweighing, correlation-remover, exponentiated-gradient, "
                         "threshold-optimizer, several with commas between them, or all.")  # fmt: skip
    attribute: str = Field("", description="Sensitive column to treat, several are crossed; empty: the worst verdict.")
    aim: str = Field("demographic-parity", description="demographic-parity or equalized-odds.")
    candidate: str = Field("recommended", description="Whose model is registered: recommended, none, or a method.")

    def read(self) -> Asked:
        """What is asked for, checked.

        Raises:
            BadInput: an unknown method or aim, or a candidate that cannot be kept or is not among the methods.
        """
        return asked(methods=self.methods, attribute=self.attribute, aim=self.aim, candidate=self.candidate)


SPEC = AssetSpec(
    KEY,
    deps=["dataset", "model"],
    partitions_def=DATASETS,
    skippable=True,
    group_name="governance",
    kinds={"mlflow", "scipy"},
    owners=["team:governance"],
    code_version=__version__,
    description="Methods against bias, each with accuracy, calibration and every gap before and after on rows that "
    "training never saw. The recommended model is registered as a candidate beside the data set's own models; it "
    "replaces none of them. Made when a person asks for it, and beside the model's bias report when that does not "
    "pass and the policy asks.",
)


@dataclass(frozen=True)
class Mitigation:
    """A mitigation that is saved: its report, its document, and what Dagster is told."""

    saved: "SavedReport"
    document: dict[str, Any]
    candidate: str
    """Reference of the registered candidate; empty where none is."""
    result: MaterializeResult


def asked_by_policy(rule: "MitigationRule") -> Asked:
    """What the policy asks for."""
    return Asked(rule.methods, rule.attributes, rule.aim, rule.candidate)


def make_mitigation(
    context: AssetExecutionContext,
    trained: Trained,
    wanted: Asked,
    *,
    by: "Asker",
    tracking_uri: str,
    pages: PagesResource,
) -> Mitigation:
    """The mitigation report, saved, and a candidate in MLflow where one is worth a look.

    Raises:
        BadInput: the model is no binary classification, or a column cannot be treated.
        CannotReach: the MLflow server does not answer.
    """
    from millrace.bias.mitigation.page import render_mitigation_page
    from millrace.bias.origin import software
    from millrace.warehouse.saves import Made, save_report

    began = time.perf_counter()
    store, work, model, policy = trained.store, trained.work, trained.model, trained.policy
    done = run_mitigation(
        wanted, trained.frame, trained.pipeline,
        card=trained.card, answers=work.answers, policy=policy, seed=work.settings.seed,
    )  # fmt: skip
    report = done.report
    kept = keep_candidate(
        wanted, done, trained.pipeline,
        frame=trained.frame, card=trained.card, key=work.version.key, tracking_uri=tracking_uri,
        tags={
            "dagster/run-id": context.run.run_id,
            "dagster/asset": KEY,
            "dagster/partition": context.partition_key,
            "millrace/code-version": store.code_version,
            "millrace/data-sha256": work.version.table_sha256,
            "millrace/model": f"v{model.version}",
            "millrace/asked-by": by,
        },
    )  # fmt: skip
    candidate = None if kept is None else kept[1]
    made = Made(
        asset=KEY,
        inputs=refs_of(work, model),
        parameters={
            **work.answers.model_dump(mode="json"),
            **policy_facts(policy),
            "asked_by": by,
            "methods": list(wanted.methods),
            "attribute": report.scope.attribute,
            "aim": wanted.constraint,
            "candidate": None if kept is None else kept[0],
        },
        seed=work.settings.seed,
        rows_in=report.scope.train_rows + report.scope.test_rows,
        rows_out=report.scope.test_rows,
        seconds=time.perf_counter() - began,
    )
    facts = page_facts(work, store, report_hash=report.report_hash, model=f"v{model.version}")
    document = {
        **report.document(),
        "report_hash": report.report_hash,
        "input": source_of(work, model).model_dump(mode="json", exclude_none=True),
        "software": software(),
    }
    saved = save_report(
        store,
        work,
        kind="mitigation",
        document=document,
        html=render_mitigation_page(report, facts=facts),
        report_hash=report.report_hash,
        summary={
            "asked_by": by,
            "recommended": report.recommendation.method,
            "warnings": len(report.warnings),
            **({} if candidate is None else {"candidate": candidate.to_json()}),
        },
        made=made,
        model_version=model.version,
        beside=() if candidate is None else (candidate.ref,),
    )
    result = MaterializeResult(
        asset_key=KEY,
        data_version=DataVersion(saved.report_hash),
        metadata={
            **materialised(work, made, code_version=store.code_version),
            "report hash": saved.report_hash,
            "asked by": by,
            "model": f"v{model.version}",
            "page": pages.report("mitigation", saved.report_id),
            "recommendation": report.recommendation.reason,
            "candidate": "none" if candidate is None else candidate.model_uri,
            "warnings": markdown_table(("warning",), [[text] for text in report.warnings[:20]]),
        },
    )
    return Mitigation(saved, document, "" if candidate is None else candidate.ref.ref, result)
