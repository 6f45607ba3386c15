"""Bias of the model's predictions, on rows that it was not trained on."""

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from dagster import AssetSpec, DataVersion, MaterializeResult

from assets.bias_metadata import policy_check, policy_facts, source_of, verdict_table
from assets.facts import page_facts
from assets.metadata import materialised
from assets.partitions import DATASETS
from assets.previous import with_previous
from assets.trained import Trained, refs_of
from millrace import __version__
from resources.pages import PagesResource

if TYPE_CHECKING:
    from assets.bias_mitigation import Mitigation
    from millrace.bias.mitigation.section import MitigationSection
    from millrace.bias.report import BiasReport
    from millrace.contracts.references import Ref

KEY = "model_bias_report"
SPEC = AssetSpec(
    KEY,
    deps=["dataset", "model"],
    partitions_def=DATASETS,
    skippable=True,
    group_name="governance",
    kinds={"scipy"},
    owners=["team:governance"],
    code_version=__version__,
    description="How the model's decisions and errors differ between groups of people, on rows that training never "
    "saw.",
)


def measure(trained: Trained) -> "BiasReport":
    """The bias of the model's predictions, with proxies, a demographic shift, and the model asked again."""
    import pandas as pd

    from millrace.bias.counterfactual import change_sensitive
    from millrace.bias.predictions import measure_model_bias
    from millrace.bias.proxies_and_shift import add_proxies_and_shift
    from millrace.bias.scores import favourable_scores

    answers, seed, unseen = trained.work.answers, trained.work.settings.seed, trained.unseen
    policy, pipeline = trained.policy, trained.pipeline
    said = pd.Series(pipeline.predict(unseen), index=unseen.index)
    report = measure_model_bias(
        unseen[answers.target],
        said,
        unseen[list(answers.sensitive)],
        answers=answers,
        seed=seed,
        policy=policy,
        scores=favourable_scores(pipeline, unseen, answers.positive),
        features=unseen.drop(columns=[answers.target, *answers.sensitive]),
    )
    again = change_sensitive(pipeline.predict, unseen, answers=answers, used=None, policy=policy, seed=seed)
    report = replace(report, parts=(*report.parts, again))
    return add_proxies_and_shift(report, unseen, answers=answers, predictions=said)


def section_of_mitigation(
    trained: Trained, made: "Mitigation | None", *, could_not: str | None
) -> "tuple[MitigationSection | None, tuple[Ref, ...]]":
    """What the report says of a mitigation, and the mitigation's report as an input of the statement.

    That of this run, or why it could not be done; else the newest one of the same model; None where there is none.
    """
    from millrace.bias.mitigation.report import FORMAT
    from millrace.bias.mitigation.section import MitigationSection, section_of
    from millrace.contracts.references import Ref, report_ref
    from millrace.warehouse.reports import find_report

    if could_not is not None:
        return MitigationSection(asked_by="policy", could_not=could_not), ()
    if made is not None:
        found, document, by, candidate = made.saved, made.document, "policy", made.candidate
    else:
        store, model = trained.store, trained.model
        with store.read() as session:
            earlier = find_report(session, model.key, kind="mitigation", model_version=model.version)
        if earlier is None:
            return None, ()
        document = json.loads(store.artifacts.read_bytes(earlier.json_sha256))
        if document["format"] != FORMAT:
            # of an earlier release: its address stays, but its figures have another shape
            return None, ()
        by = earlier.summary["asked_by"]
        found, candidate = earlier, earlier.summary.get("candidate", {}).get("ref", "")
    section = section_of(document, asked_by=by, address=f"/bias-reports/{found.report_id}/view", candidate=candidate)
    return section, (Ref(report_ref(found.report_id), found.json_sha256, part="json"),)


def save(
    trained: Trained, report: "BiasReport", *, used: "tuple[Ref, ...]", began: float, pages: PagesResource
) -> MaterializeResult:
    """The report as Dagster is told of it, saved; `used` are inputs beside table and model.

    In the run that trained the model, the stage ends here. `began` is from `time.perf_counter`.
    """
    from millrace.bias.origin import whole_document
    from millrace.bias.page import render_bias_page
    from millrace.warehouse.saves import Made, announce_model, save_report

    store, work, model = trained.store, trained.work, trained.model
    report, before = with_previous(report, store, work, kind="model_bias", model_version=model.version)
    facts = page_facts(work, store, report_hash=report.report_hash, model=f"v{model.version}")
    page = render_bias_page(report, facts=facts)
    made = Made(
        asset=KEY,
        inputs=(*refs_of(work, model), *used, *before),
        parameters=work.answers.model_dump(mode="json") | policy_facts(report.policy),
        seed=work.settings.seed,
        rows_in=len(trained.unseen),
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
        asset_key=KEY,
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
