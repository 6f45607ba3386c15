"""What `millrace bias` does, step by step."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from millrace import __version__
from millrace.cli.bias_above import ask_above
from millrace.cli.bias_accounting import account_for_file
from millrace.cli.bias_mitigation import (
    check_mitigation,
    mitigate_file,
    save_mitigation,
    section_for,
    summary,
    tell_mitigation,
)
from millrace.cli.bias_options import BiasOptions, check_predictions
from millrace.cli.bias_weights import read_weighted
from millrace.cli.output import DONE, STAGE_FAILED, console, emit
from millrace.cli.words import names
from millrace.contracts.canonical import sha256_file
from millrace.contracts.errors import BadInput
from millrace.contracts.stages import TaskType
from millrace.contracts.task import Answers

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from millrace.bias.mitigation.report import MitigationReport
    from millrace.bias.origin import Source
    from millrace.bias.policy import Policy
    from millrace.bias.proxies.figures import ProxyReport
    from millrace.bias.report import BiasReport
    from millrace.bias.shift import ShiftReport
    from millrace.warehouse.profile import Profile


def measure(options: BiasOptions, *, as_json: bool) -> int:
    """Writes the report's page and document and tells what was found; gives the exit code.

    Raises:
        BadInput: the file, a column or the policy cannot be used; names the option and the remedy.
    """
    from millrace.bias.origin import whole_document
    from millrace.bias.policy import find_policy

    policy = find_policy(options.policy)
    if not options.file.is_file():
        raise BadInput(f"there is no file {options.file}", field="file", remedy="name a CSV or Parquet file")
    check_mitigation(options)
    check_predictions(options)
    frame, profile = _read(options.file)
    table = frame
    frame, weights, notes = read_weighted(options, frame)
    options, frame, asked = ask_above(options, frame)
    answers, proposed = find_answers(options, frame, profile)
    report = _report(options, frame, answers, policy, weights)
    people = None if weights is not None else options.weights
    steps = account_for_file(table, profile, frame, people=people, answers=answers, policy=policy)
    report = replace(report, notes=(*report.notes, *notes, *asked), parts=(*report.parts, steps))
    if options.proxies:
        found = _proxies(options, frame, answers, policy)
        report = replace(report, parts=report.parts if found is None else (*report.parts, found))
    if options.shift:
        report = replace(report, parts=(*report.parts, _shifted(options, frame, report)))
    mitigated = None
    if options.mitigate is not None:
        mitigated = mitigate_file(options, frame, answers, policy, report)
        report = replace(report, parts=(*report.parts, section_for(mitigated, options)))
    if options.previous is not None:
        report = _compared(options.previous, report)
    document = whole_document(report, _source(options))
    saved = _save(options, report, document)
    if mitigated is not None:
        saved |= save_mitigation(mitigated, options, document["input"])
    if as_json:
        emit({"verdict": report.verdict, "verdicts": report.verdicts, "holds_back": report.holds_back,
              "report_hash": report.report_hash, "proposed": proposed,
              **({"mitigation": summary(mitigated)} if mitigated else {}), **saved})  # fmt: skip
    else:
        _tell(report, proposed, mitigated, saved)
    return STAGE_FAILED if report.holds_back else DONE


def find_answers(options: BiasOptions, frame: "pd.DataFrame", profile: "Profile") -> tuple[Answers, dict[str, str]]:
    """Task, favourable value and columns; and those of them that were not given but proposed.

    Raises:
        BadInput: a column is not there, or the task is none.
    """
    from millrace.bias.table import require_column
    from millrace.conductor.proposals import propose_for

    require_column(frame, options.target, field="target")
    proposal, proposed = propose_for(profile, options.target), {}
    task = options.task
    if task is None:
        task = proposed["task"] = str(proposal.task_type[0].value)
    if task not in get_args(TaskType):
        raise BadInput(f"task {task[:80]!r} is none", field="task", remedy=f"give {' or '.join(get_args(TaskType))}")
    positive = options.positive
    if positive is None and task == "classification" and proposal.positive:
        positive = proposal.positive[0].value
        if positive is not None:
            proposed["positive"] = positive
    columns = names(options.sensitive)
    if not columns:
        raise BadInput("no sensitive column was named", field="sensitive", remedy="name one or more columns")
    return Answers(target=options.target, task_type=task, positive=positive, sensitive=columns), proposed


def _read(file: Path) -> "tuple[pd.DataFrame, Profile]":
    from millrace.settings import load
    from millrace.warehouse.prepare import Limits, prepare
    from millrace.warehouse.table import read_parquet

    settings = load()
    limits = Limits(settings.max_decompressed_bytes, settings.max_columns)
    with tempfile.TemporaryDirectory(prefix="millrace-bias-") as work:
        prepared = prepare(file, Path(work), limits)
        return read_parquet(prepared.table), prepared.profile


def _report(
    options: BiasOptions,
    frame: "pd.DataFrame",
    answers: Answers,
    policy: "Policy",
    weights: "np.ndarray[Any, Any] | None",
) -> "BiasReport":
    from millrace.bias.label import measure_label_bias
    from millrace.bias.outcomes import check_words
    from millrace.bias.predictions import measure_model_bias
    from millrace.bias.table import require_column

    if options.predictions is None:
        return measure_label_bias(
            frame, answers=answers, seed=options.seed, policy=policy, strata=options.strata, weights=weights
        )
    predicted = require_column(frame, options.predictions, field="predictions")
    if answers.task_type == "classification":
        check_words(frame[options.target], predicted, answers, column=options.predictions)
    given = {options.target, options.predictions, options.score}
    return measure_model_bias(
        require_column(frame, options.target, field="target"),
        predicted,
        frame,
        answers=answers,
        seed=options.seed,
        policy=policy,
        features=frame[[name for name in frame if name not in given and name not in answers.sensitive]],
        strata=None if options.strata is None else require_column(frame, options.strata, field="strata"),
        scores=None if options.score is None else require_column(frame, options.score, field="score"),
        weights=weights,
    )


def _proxies(options: BiasOptions, frame: "pd.DataFrame", answers: Answers, policy: "Policy") -> "ProxyReport | None":
    from millrace.bias.proxies.search import find_proxies

    # what a model said is no column of the data
    said = [name for name in (options.predictions, options.score) if name is not None]
    return find_proxies(frame.drop(columns=said), answers=answers, seed=options.seed, policy=policy)


def _compared(previous: Path, report: "BiasReport") -> "BiasReport":
    from millrace.bias.comparison import compare
    from millrace.cli.bias_diff import read_document

    found = compare(read_document(previous, field="previous"), report.document())
    return replace(report, parts=(*report.parts, found))


def _shifted(options: BiasOptions, frame: "pd.DataFrame", report: "BiasReport") -> "ShiftReport":
    from millrace.bias.shift import shift_of_report

    return shift_of_report(
        report, frame, predictions=None if options.predictions is None else frame[options.predictions]
    )


def _source(options: BiasOptions) -> "Source":
    from millrace.bias.origin import Source

    return Source(
        file=options.file.name,
        sha256=sha256_file(options.file),
        predictions=options.predictions,
        score=options.score,
        strata=options.strata,
        weights=options.weights,
        above=options.above,
    )


def _save(options: BiasOptions, report: "BiasReport", document: dict[str, Any]) -> dict[str, str]:
    from millrace.bias.impact_ratios import impact_ratio_page, impact_ratio_table
    from millrace.bias.origin import document_text
    from millrace.bias.page import render_bias_page
    from millrace.pages import PageFacts

    folder = (options.out or options.file.parent).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    facts = PageFacts(
        dataset=options.file.name,
        version=None,
        sha256=document["input"]["sha256"],
        code_version=__version__,
        created_at=None,
        report_hash=report.report_hash,
    )
    stem = f"{options.file.name.partition('.')[0]}-bias"
    page, twin = folder / f"{stem}.html", folder / f"{stem}.json"
    page.write_text(render_bias_page(report, facts=facts), encoding="utf-8", newline="\n")
    twin.write_text(document_text(document), encoding="utf-8", newline="\n")
    saved = {"html": str(page), "json": str(twin)}
    table = impact_ratio_table(report)
    if table is not None:
        ratios = folder / f"{stem}-impact-ratios.csv"
        ratios.write_text(table, encoding="utf-8", newline="\n")
        saved["impact_ratios"] = str(ratios)
        published = ratios.with_suffix(".html")
        published.write_text(impact_ratio_page(report, facts=facts), encoding="utf-8", newline="\n")
        saved["impact_ratios_html"] = str(published)
    return saved


def _steps(report: "BiasReport") -> list[str]:
    """The steps that did something to a group, in sentences."""
    from millrace.bias.accounting.figures import Accounting

    return [
        f"{one.title} {''.join(word.text for word in one.words)}"
        for part in report.parts
        if isinstance(part, Accounting)
        for one in part.findings("")
    ]


def _tell(
    report: "BiasReport", proposed: dict[str, str], mitigated: "MitigationReport | None", saved: dict[str, str]
) -> None:
    from rich.text import Text

    from millrace.bias.wording import headline
    from millrace.cli.summary import verdicts_table

    out = console()
    for name, value in proposed.items():
        out.print(Text(f"--{name} {value} (proposed; give it to decide yourself)", style="dim"), soft_wrap=True)
    out.print(Text(headline(report)), soft_wrap=True)
    reasons = {
        (one.attribute, item.name): item.reason
        for one in (*report.attributes, *report.crossings)
        for item in one.disparities
    }
    out.print(
        verdicts_table(
            f"Policy {report.policy.name}", report.verdicts, confidence=report.policy.confidence, reasons=reasons
        )
    )
    for note in (*report.notes, *_steps(report)):
        out.print(Text(note, style="yellow"), soft_wrap=True)
    if report.holds_back:
        out.print(Text("the policy holds back what does not pass (exit code 3)", style="bold red"))
    if mitigated is not None:
        tell_mitigation(mitigated)
    for path in saved.values():
        out.print(path, soft_wrap=True)
