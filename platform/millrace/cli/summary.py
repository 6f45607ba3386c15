"""How `millrace run` ends: one JSON object, or the same told for people."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from millrace.cli.client import Api
from millrace.cli.copies import save_report
from millrace.cli.output import console
from millrace.cli.words import duration

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_VERDICT_STYLES = {"pass": "green", "fail": "red", "inconclusive": "yellow", "not assessable": "dim"}
_WORST_FIRST = ("fail", "inconclusive", "not assessable", "pass")
_STAGE_LABELS = {"dataset": "upload", "bias": "quality and bias", "automl": "model", "xai": "explanations"}


def outcome(
    api: Api, view: dict[str, Any], *, out: Path, upload_seconds: float, total_seconds: float
) -> dict[str, Any]:
    """The object of `millrace run --json`; what the pipeline has not made is null.

    `seconds.stages` are the upload request and, for each stage, the time in which at least one of its runs worked
    (from claiming its attempt to its last save); `overhead` is what is left of `total` without them and without the
    time spent waiting for a person.
    """
    folder = out / f"{view['user_id']}.{view['dataset_id']}" / f"v{view['version']}" / view["id"]
    spent = view["seconds"]
    inside = spent["total"] - spent["overhead"]
    found = {
        "pipeline_id": view["id"],
        "status": view["state"],
        "dataset": {
            "user_id": view["user_id"],
            "dataset_id": view["dataset_id"],
            "version": view["version"],
            "sha256": view["sha256"],
            "rows": view["rows"],
            "columns": view["columns"],
        },
        "bias": _bias(api, view, "bias", folder),
        "model_bias": _bias(api, view, "model_bias", folder),
        "model": _model(view),
        "xai": _explanations(api, view, folder),
        "seconds": {
            "total": round(total_seconds, 3),
            "stages": {"dataset": round(upload_seconds, 3), **spent["stages"]},
            "overhead": round(max(total_seconds - upload_seconds - inside, 0.0), 3),
        },
    }
    if view["error"]:
        found["error"] = view["error"]
    if view["waiting_for"]:
        found["waiting_for"] = view["waiting_for"]
    return found


def _newest(view: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    by_level = {one["level"]: one for one in view["reports"] if one["kind"] == kind}
    return list(by_level.values())


def _bias(api: Api, view: dict[str, Any], kind: str, folder: Path) -> dict[str, Any] | None:
    found = _newest(view, kind)
    if not found:
        return None
    report = api.get(f"/bias-reports/{found[0]['report_id']}")
    verdicts = report["document"].get("verdicts", [])
    return {"report_id": report["report_id"], **save_report(api, report, folder), "verdicts": verdicts}


def _model(view: dict[str, Any]) -> dict[str, Any] | None:
    model = view["model"]
    if model is None:
        return None
    return {
        "model_id": model["model_id"],
        "version": model["version"],
        "mlflow_run_id": model["mlflow_run_id"],
        "algorithm": model["algorithm"],
        "test_metrics": model["metrics"].get("test", {}),
    }


def _explanations(api: Api, view: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    order = {level: place for place, level in enumerate(view["settings"]["levels"])}
    made = []
    for one in sorted(_newest(view, "xai"), key=lambda one: order.get(one["level"], len(order))):
        report = api.get(f"/xai-reports/{one['report_id']}")
        saved = save_report(api, report, folder)
        url = None if report["url"] is None else api.url + report["url"]
        made.append({"level": one["level"], "report_id": one["report_id"], "html": saved["html"], "url": url})
    return made


def print_outcome(found: dict[str, Any], view: dict[str, Any], *, api_url: str) -> None:
    """The same for a person: verdicts, model against baseline, where the reports are, where the time went."""
    from rich.text import Text

    out = console()
    data = found["dataset"]
    out.print()
    head = f"{data['user_id']}.{data['dataset_id']} v{data['version']}, {data['rows']:,} rows"
    out.print(Text.assemble((view["state_text"].capitalize(), "bold"), f"  {head}"))
    if view["error"]:
        out.print(Text(str(view["error"].get("message", "")), style="red"), soft_wrap=True)
        if view["error"].get("remedy"):
            out.print(Text(f"to fix: {view['error']['remedy']}"), soft_wrap=True)
        if "retry" in view["possible"]:
            out.print(Text(f"try again: millrace pipeline retry {view['id']}", style="dim"), soft_wrap=True)
    if view["waiting_for"]:
        out.print(Text(f"next: {view['waiting_for']['command']}", style="bold yellow"), soft_wrap=True)
    for kind, title in (("bias", "Bias of the data"), ("model_bias", "Bias of the model, on rows it never saw")):
        if found[kind]:
            out.print(verdicts_table(title, found[kind]["verdicts"]))
    if view["model"]:
        out.print(model_table(view["model"]))
    places = [("data", found["bias"]), ("model", found["model_bias"])]
    lines = [(f"bias of the {what}", one["html"]) for what, one in places if one]
    lines += [(f"explanation, {one['level']}", one["html"]) for one in found["xai"]]
    for label, path in lines:
        out.print(Text.assemble((f"{label:<26}", "bold"), str(path)), soft_wrap=True)
    if lines:
        out.print(Text(f"\nlive: {api_url}/ui/pipelines/{view['id']}"), soft_wrap=True)
        out.print(Text("the platform stays up until `millrace down`", style="dim"))
    out.print(times_line(found["seconds"]), soft_wrap=True)


def verdicts_table(
    title: str,
    verdicts: list[dict[str, Any]],
    *,
    confidence: float = 0.95,
    reasons: dict[tuple[str, str], str] | None = None,
) -> "Table | Text":
    """One row per sensitive column: its worst verdict, the figure behind it, and how many figures say what.

    `reasons` says by column and figure why one that cannot be assessed is not.
    """
    from rich.text import Text

    from millrace.cli.tables import plain_table

    if not verdicts:
        return Text(f"{title}: no sensitive column was given, so nothing is judged", style="dim")
    table = plain_table(title, "verdict", "because", "all figures")
    for attribute in dict.fromkeys(one["attribute"] for one in verdicts):
        mine = [one for one in verdicts if one["attribute"] == attribute]
        worst = min(mine, key=lambda one: _WORST_FIRST.index(one["verdict"]))
        counts = {verdict: sum(one["verdict"] == verdict for one in mine) for verdict in _WORST_FIRST}
        told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
        style = _VERDICT_STYLES[worst["verdict"]]
        because = _figure(worst, confidence)
        if worst["verdict"] == "not assessable" and reasons:
            because = f"{because}: {reasons[attribute, worst['metric']]}"
        table.add_row(Text(attribute), Text(worst["verdict"], style=style), Text(because), told)
    return table


def _figure(verdict: dict[str, Any], confidence: float) -> str:
    words = str(verdict["metric"]).replace("_", " ")
    if verdict["value"] is None:
        return f"{words} cannot be measured"
    if verdict["low"] is None or verdict["high"] is None:
        return f"{words} is {verdict['value']:.2f}"
    interval = f"{verdict['low']:.2f} to {verdict['high']:.2f}"
    return f"{words} is {verdict['value']:.2f}, with {confidence:.0%} confidence {interval}"


def model_table(model: dict[str, Any]) -> "Table":
    """The model's test figures beside those of a dummy that never looks at the row."""
    from millrace.cli.tables import plain_table

    test, baseline = model["metrics"].get("test", {}), model["metrics"].get("baseline", {})
    table = plain_table(f"Model {model['version']}: {model['algorithm']}", "on unseen rows", "baseline")
    for metric, value in test.items():
        beside = f"{baseline[metric]:.3f}" if metric in baseline else ""
        table.add_row(metric.replace("_", " "), f"{value:.3f}", beside)
    return table


def times_line(seconds: dict[str, Any]) -> "Text":
    """Where the time went, in one line."""
    from rich.text import Text

    stages = ", ".join(
        f"{_STAGE_LABELS.get(stage, stage)} {duration(spent)}" for stage, spent in seconds["stages"].items()
    )
    return Text(
        f"{duration(seconds['total'])} in all: {stages}, between them {duration(seconds['overhead'])}", style="dim"
    )


def results(api: Api, view: dict[str, Any]) -> list["Table | Text"]:
    """What is there to be looked at before an approval: verdicts and the model's figures."""
    shown: list[Table | Text] = []
    for kind, title in (("bias", "Bias of the data"), ("model_bias", "Bias of the model")):
        for one in _newest(view, kind):
            document = api.get(f"/bias-reports/{one['report_id']}")["document"]
            shown.append(verdicts_table(title, document.get("verdicts", [])))
    if view["model"]:
        shown.append(model_table(view["model"]))
    return shown
