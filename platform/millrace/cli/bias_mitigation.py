"""`millrace bias FILE --mitigate …`: methods tried on a classifier of our own, without the platform."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from millrace import __version__
from millrace.cli.output import console
from millrace.contracts.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

    from millrace.bias.mitigation.report import MitigationReport
    from millrace.bias.mitigation.section import MitigationSection
    from millrace.bias.policy import Policy
    from millrace.bias.report import BiasReport
    from millrace.cli.bias_options import BiasOptions
    from millrace.contracts.task import Answers


def check_mitigation(options: "BiasOptions") -> None:
    """Nothing, when the options of mitigation can be meant together.

    Raises:
        BadInput: an unknown method or aim, a model's predictions beside it, or its options without it.
    """
    from millrace.bias.mitigation.setup import read_constraint, read_methods

    if options.mitigate is None:
        if options.treat is not None:
            raise BadInput(
                "--treat names a column to treat, and no mitigation was asked for",
                field="treat",
                remedy="give --mitigate too",
            )
        return
    read_methods(options.mitigate)
    read_constraint(options.aim)
    if options.predictions is not None:
        raise BadInput(
            "predictions alone cannot be mitigated: methods train a classifier of their own",
            field="mitigate",
            remedy="leave --predictions away, or register the model and materialise bias_mitigation",
        )


def mitigate_file(
    options: "BiasOptions", frame: "pd.DataFrame", answers: "Answers", policy: "Policy", report: "BiasReport"
) -> "MitigationReport":
    """Every named method on trees trained on four fifths of the rows, judged on the last fifth.

    Raises:
        BadInput: the target has not two values, or the column to treat has no two groups that are large enough.
        StageFailed: nothing can be learnt from these rows.
    """
    from millrace.automl.encode import encode_fresh
    from millrace.bias.mitigation.report import mitigate
    from millrace.bias.mitigation.setup import hold_out, read_constraint, read_methods, set_up, worst_attribute

    named = [name.strip() for name in (options.treat or "").split(",") if name.strip()]
    attributes = tuple(named) or tuple(name for name in (worst_attribute(report),) if name is not None)
    if answers.task_type != "classification":
        raise BadInput(
            f"only a classification with two values can be mitigated, not {answers.task_type}",
            field="task",
            remedy="leave --mitigate away",
        )
    encoded = encode_fresh(frame, answers.target, seed=options.seed)
    how: dict[str, Any] = {"answers": answers, "policy": policy, "seed": options.seed}
    holdout = hold_out(frame, encoded, **how)
    problem = set_up(frame, encoded, attributes=attributes, constraint=read_constraint(options.aim), **how)
    methods = read_methods(options.mitigate or "")
    return mitigate(methods, problem, holdout, attribute=" × ".join(attributes)).report


def section_for(report: "MitigationReport", options: "BiasOptions") -> "MitigationSection":
    """What the bias report beside it says of the mitigation."""
    from urllib.parse import quote

    from millrace.bias.mitigation.section import section_of

    document = {**report.document(), "report_hash": report.report_hash}
    return section_of(document, asked_by="person", address=quote(f"{_stem(options)}.html"))


def save_mitigation(report: "MitigationReport", options: "BiasOptions", origin: dict[str, Any]) -> dict[str, str]:
    """Paths of the written page and document; `origin` is what the bias report's document says of its input."""
    from millrace.bias.mitigation.page import render_mitigation_page
    from millrace.bias.origin import document_text, software
    from millrace.pages import PageFacts

    folder = (options.out or options.file.parent).absolute()
    facts = PageFacts(
        dataset=options.file.name,
        version=None,
        sha256=origin["sha256"],
        code_version=__version__,
        created_at=None,
        report_hash=report.report_hash,
    )
    stem = _stem(options)
    document = {**report.document(), "report_hash": report.report_hash, "input": origin, "software": software()}
    page, twin = Path(folder / f"{stem}.html"), Path(folder / f"{stem}.json")
    page.write_text(render_mitigation_page(report, facts=facts), encoding="utf-8", newline="\n")
    twin.write_text(document_text(document), encoding="utf-8", newline="\n")
    return {"mitigation_html": str(page), "mitigation_json": str(twin)}


def _stem(options: "BiasOptions") -> str:
    return f"{options.file.name.partition('.')[0]}-mitigation"


def summary(report: "MitigationReport") -> dict[str, Any]:
    """What `--json` tells of a mitigation."""
    from millrace.bias.mitigation.report import target_gap

    found: dict[str, Any] = {"recommended": report.recommendation.method, "warnings": list(report.warnings)}
    for result in report.results:
        gap = target_gap(result, report.scope)
        found[result.method] = {
            "failed": result.failed,
            "gap_before": None if gap is None else gap.before.value,
            "gap_after": None if gap is None else gap.after.value,
            "accuracy_change": result.qualities[0].change.value if result.qualities else None,
            "closed": result.moved("closed"),
            "opened": result.moved("opened"),
        }
    return found


def tell_mitigation(report: "MitigationReport") -> None:
    """A line for each method, the warnings, and what is recommended."""
    from rich.table import Table
    from rich.text import Text

    from millrace.bias.mitigation.methods import DESCRIPTIONS
    from millrace.bias.mitigation.report import TARGETS, target_gap
    from millrace.bias.wording import metric_title
    from millrace.pages.filters import percent, points

    scope, out = report.scope, console()
    table = Table(title=f"Mitigation: {metric_title(TARGETS[scope.constraint])} by {scope.attribute}")
    for name in ("method", "gap before → after", "accuracy", "closes", "opens"):
        table.add_column(name)
    for result in report.results:
        title, gap = DESCRIPTIONS[result.method].title, target_gap(result, scope)
        if result.failed is not None or gap is None:
            table.add_row(title, Text(f"could not be used: {result.failed}"), "", "", "")
            continue
        accuracy = result.qualities[0]
        table.add_row(
            title,
            f"{points(gap.before.value)} → {points(gap.after.value)}",
            f"{percent(accuracy.before.value)} → {percent(accuracy.after.value)}",
            str(result.moved("closed")),
            str(result.moved("opened")),
        )
    out.print(table)
    for text in report.warnings[:3]:
        out.print(Text(text, style="yellow"), soft_wrap=True)
    if len(report.warnings) > 3:
        out.print(Text(f"… and {len(report.warnings) - 3} more warnings, on the page", style="yellow"))
    out.print(Text(report.recommendation.reason), soft_wrap=True)
