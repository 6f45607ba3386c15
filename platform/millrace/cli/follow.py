"""Follows a pipeline until it ends or waits for a person, with progress by stage on a terminal and lines elsewhere."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from millrace.cli.client import Api
from millrace.cli.output import console, errors
from millrace.cli.words import duration
from millrace.contracts.errors import CannotReach

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_POLL_SECONDS = 0.4
_PATIENCE_SECONDS = 60.0
"""The API may be away so long (it is started again after a crash) before following is given up."""
_STAGES = (("bias", "quality and bias report"), ("automl", "model"), ("xai", "explanations"))


def follow(api: Api, pipeline_id: str, *, to_stderr: bool = False, started: float | None = None) -> dict[str, Any]:
    """The pipeline's view once it has ended or waits for a person; shows its progress on the way.

    Raises:
        NotFound: there is no such pipeline.
        CannotReach: the API stayed away for a minute. The pipeline goes on without us.
    """
    screen = errors() if to_stderr else console()
    began = time.monotonic() if started is None else started
    if screen.is_terminal:
        return _live(screen, _views(api, pipeline_id), began)
    return _lines(screen, api, pipeline_id, began)


def _views(api: Api, pipeline_id: str) -> Iterator[dict[str, Any]]:
    reached = time.monotonic()
    while True:
        try:
            view: dict[str, Any] = api.get(f"/pipelines/{pipeline_id}")
            reached = time.monotonic()
        except CannotReach:
            if time.monotonic() - reached > _PATIENCE_SECONDS:
                raise
            time.sleep(1.0)
            continue
        yield view
        if (view["terminal"] and not view["ending_runs"]) or view["waiting_for"]:
            return
        time.sleep(_POLL_SECONDS)


def _lines(screen: "Console", api: Api, pipeline_id: str, began: float) -> dict[str, Any]:
    from rich.text import Text

    seen, last = 0, {}
    for view in _views(api, pipeline_id):
        last = view
        if view["revision"] == seen:
            continue
        for entry in api.get(f"/pipelines/{pipeline_id}/history", after=seen):
            seen = entry["seq"]
            screen.print(Text(f"{duration(time.monotonic() - began):>11}  {entry['message']}"), soft_wrap=True)
    return last


def _live(screen: "Console", views: Iterator[dict[str, Any]], began: float) -> dict[str, Any]:
    from rich.live import Live

    last: dict[str, Any] = {}
    with Live(console=screen, refresh_per_second=4, transient=False) as live:
        for view in views:
            last = view
            live.update(progress_table(view, time.monotonic() - began))
    return last


def progress_table(view: dict[str, Any], elapsed: float) -> "RenderableType":
    """One row per stage with its state and time, and a line that says what is being waited for."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for stage, label in _STAGES:
        attempts = [one for one in view["attempts"] if one["stage"] == stage]
        state, style, seconds = stage_state(attempts, view)
        table.add_row(Text(label), Text(state, style=style), Text(duration(seconds) if seconds else "", style="dim"))
    line = Text.assemble((view["state_text"], "bold"), f"  {duration(elapsed)}")
    if view["message"]:
        line.append(f"\n{view['message']}", style="dim")
    return Group(table, line)


def stage_state(attempts: list[dict[str, Any]], view: dict[str, Any]) -> tuple[str, str, float]:
    """(words, style, seconds of work so far) for one stage."""
    newest: dict[str | None, dict[str, Any]] = {}
    for one in attempts:
        newest[one["level"]] = one
    if not newest:
        return "not begun", "dim", 0.0
    states = [one["state"] for one in newest.values()]
    seconds = _spent(list(newest.values()))
    done, every = states.count("done"), len(view["settings"]["levels"]) if None not in newest else 1
    if done == every:
        return "done", "green", seconds
    if "failed" in states:
        return ("failed", "red", seconds) if view["terminal"] else ("will be tried again", "yellow", seconds)
    if "cancelled" in states:
        return "ended", "dim", seconds
    if "claimed" in states or done:
        return f"running{f', {done} of {every} done' if every > 1 else ''}", "cyan", seconds
    return "waiting for a run to start", "yellow", seconds


def _spent(attempts: list[dict[str, Any]]) -> float:
    spans = [
        (_at(one["claimed_at"]), _at(one["finished_at"]) if one["finished_at"] else datetime.now(UTC))
        for one in attempts
        if one["claimed_at"]
    ]
    if not spans:
        return 0.0
    return max(0.0, (max(stop for _, stop in spans) - min(start for start, _ in spans)).total_seconds())


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
