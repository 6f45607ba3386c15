"""Pipelines, history and reports as tables for people. What users wrote is never read as markup."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from millrace.cli.output import console
from millrace.cli.words import duration

if TYPE_CHECKING:
    from collections.abc import Iterable

_STYLES = {
    "completed": "green", "failed": "red", "rejected": "red", "cancelled": "dim", "superseded": "dim",
    "waiting_for_answers": "yellow", "waiting_for_approval": "yellow", "retrying": "yellow",
    "running": "cyan", "queued": "cyan",
}  # fmt: skip


def plain_table(*columns: str, whole: str | None = None) -> Table:
    """An empty table in the look of all tables here; the column called `whole` is never broken over lines."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        # what people copy, such as an id, must stay in one piece on a narrow terminal too
        table.add_column(column, overflow="fold", no_wrap=column == whole)
    return table


def state_words(view: dict[str, Any]) -> Text:
    """The state in words and colour."""
    return Text(view["state_text"], style=_STYLES.get(view["state"], ""))


def pipelines_table(views: "Iterable[dict[str, Any]]") -> Table:
    """One row per pipeline."""
    table = plain_table("pipeline", "data set", "state", "last", "time", whole="pipeline")
    for one in views:
        data = f"{one['user_id']}.{one['dataset_id']} v{one['version']}"
        spent = duration(one["seconds"]["total"])
        table.add_row(one["id"], data, state_words(one), Text(one["message"]), spent)
    return table


def history_table(entries: "Iterable[dict[str, Any]]") -> Table:
    """One row per transition."""
    table = plain_table("#", "when", "who", "state", "what", "seen", whole="when")
    for one in entries:
        when = datetime.fromisoformat(one["at"]).strftime("%Y-%m-%d %H:%M:%S")
        seen = (one["seen_sha256"] or "")[:12]
        state = one["to_state"].replace("_", " ")
        table.add_row(str(one["seq"]), when, Text(one["actor"]), state, Text(one["message"]), seen)
    return table


def reports_table(reports: "Iterable[dict[str, Any]]") -> Table:
    """One row per report."""
    table = plain_table("report", "kind", "data set", "model", "level", "made", whole="report")
    for one in reports:
        data = f"{one['user_id']}.{one['dataset_id']} v{one['version']}"
        made = datetime.fromisoformat(one["created_at"]).strftime("%Y-%m-%d %H:%M")
        kind = one["kind"].replace("_", " ")
        table.add_row(one["report_id"], kind, data, one["model_version"] or "", one["level"] or "", made)
    return table


def candidates_table(title: str, candidates: "Iterable[dict[str, Any]]") -> Table:
    """Ranked proposals with their reasons."""
    table = plain_table(title, "sure", "why")
    for one in candidates:
        value = "(none)" if one["value"] is None else one["value"]
        table.add_row(Text(value, style="bold"), f"{one['confidence']:.0%}", Text(one["reason"]))
    return table


def print_pipeline(view: dict[str, Any]) -> None:
    """A pipeline in full."""
    out = console()
    out.print(Text.assemble((view["name"], "bold"), f"  {view['user_id']}.{view['dataset_id']} v{view['version']}"))
    out.print(Text.assemble(state_words(view), f": {view['message']}"))
    if view["error"]:
        out.print(Text(f"error: {view['error'].get('message', '')}", style="red"))
    if view["waiting_for"]:
        out.print(Text(f"next: {view['waiting_for']['command']}", style="bold yellow"))
        if view["waiting_for"]["seen_sha256"]:
            out.print(Text(f"what is shown has hash {view['waiting_for']['seen_sha256']}", style="dim"))
    if view["state"] == "waiting_for_answers":
        for part, title in (("target", "target"), ("task_type", "task"), ("positive", "favourable value"),
                            ("sensitive", "sensitive")):  # fmt: skip
            if view["proposals"][part]:
                out.print(candidates_table(title, view["proposals"][part]))
    if view["answers"]:
        given = view["answers"]
        sensitive = ", ".join(given["sensitive"]) or "none"
        out.print(Text(f"target {given['target']}, {given['task_type']}, sensitive: {sensitive}"))
    for one in view["reports"]:
        out.print(Text(f"{one['kind'].replace('_', ' ')} report {one['report_id']} {one['level'] or ''}"))
    if view["model"]:
        out.print(Text(f"model {view['model']['model_id']} {view['model']['version']}: {view['model']['algorithm']}"))
    if view["possible"]:
        out.print(Text("possible now: " + ", ".join(view["possible"]), style="dim"))
