"""`millrace stream watch`: scored events as they come, in the terminal."""

import contextlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from millrace.cli.output import Json, console, emit, guarded

if TYPE_CHECKING:
    from rich.console import RenderableType

    from millrace.settings import Settings
    from millrace.streams.live.reader import LiveReader

_LOOK_SECONDS = 0.5
_SPAN_SECONDS = 300
_BAR = 40
_STYLES = {"POSITIVE": "green", "NEGATIVE": "red", "NEUTRAL": "white"}
_STATES = {"OK": "green", "WARN": "yellow", "REWIND": "yellow", "STALLED": "red", "STOPPED": "red"}


@guarded
def watch(
    seconds: Annotated[float | None, typer.Option(help="End after so many seconds (default: at Ctrl-C).")] = None,
    as_json: Json = False,
) -> None:
    """Watch scored events: counts by sentiment and channel, latency, lag and the last messages.

    With --json the state at the end is printed; it needs --seconds.
    """
    from rich.live import Live

    from millrace.contracts.errors import BadInput
    from millrace.settings import load

    if as_json and seconds is None:
        raise BadInput("--json without --seconds", field="seconds", remedy="say after how many seconds to print")
    reader = reader_of(load())
    until = None if seconds is None else time.monotonic() + seconds
    try:
        with contextlib.ExitStack() as held:
            held.enter_context(contextlib.suppress(KeyboardInterrupt))
            screen = None if as_json else held.enter_context(Live(console=console(), auto_refresh=False))
            while until is None or time.monotonic() < until:
                ((_, _, whole),) = reader.look(None)
                if screen is not None:
                    screen.update(picture(whole), refresh=True)
                time.sleep(_LOOK_SECONDS)
        if as_json:
            ((_, _, whole),) = reader.look(None)
            emit(whole)
    finally:
        reader.close()


def reader_of(settings: "Settings") -> "LiveReader":
    """A reader of the settings' topic that also tells the status of score_events."""
    from millrace.streams.live.reader import LiveReader
    from millrace.streams.names import topics_of
    from millrace.streams.status import status_of
    from millrace.warehouse.store import open_warehouse

    stream, store = "score_events", open_warehouse(settings, migrate=True)
    topics = topics_of(settings, stream)
    return LiveReader(settings, lambda: status_of(settings, store, stream, topics, samples=1).to_json())


def picture(whole: Mapping[str, Any]) -> "RenderableType":
    """A state as bars and tables; what users wrote is escaped and cut."""
    from rich.console import Group
    from rich.text import Text

    from millrace.cli.dlq import escaped
    from millrace.cli.tables import plain_table

    newest = max((entry[0] for entry in whole["counts"]), default=0)
    recent = [entry for entry in whole["counts"] if entry[0] > newest - _SPAN_SECONDS]
    by_sentiment: dict[str, int] = {}
    by_channel: dict[str, dict[str, int]] = {}
    for _, sentiment, channel, count in recent:
        by_sentiment[sentiment] = by_sentiment.get(sentiment, 0) + count
        channels = by_channel.setdefault(channel, {})
        channels[sentiment] = channels.get(sentiment, 0) + count
    most = max(by_sentiment.values(), default=1)
    bars = [
        Text.assemble(f"{_plain(name):<10}| ", ("█" * max(1, round(_BAR * count / most)), _style(name)), f" {count}")
        for name, count in sorted(by_sentiment.items(), key=lambda one: -one[1])
    ]
    channels_table = plain_table("channel", *map(_plain, sorted(by_sentiment)), whole="channel")
    for channel, counts in sorted(by_channel.items()):
        channels_table.add_row(Text(_plain(channel)), *(str(counts.get(name, 0)) for name in sorted(by_sentiment)))
    messages = plain_table("sentiment", "text", "channel", "model", whole="sentiment")
    for one in reversed(whole["last"][-8:]):
        label = Text(f"{_plain(one['sentiment']).lower()} {one['score']:.2f}", style=_style(one["sentiment"]))
        text = Text(escaped(one["text"].encode("utf-8", "replace"), most=100))
        messages.add_row(label, text, Text(_plain(one["channel"])), Text(_plain(one["model"])))
    return Group(_headline(whole), Text(""), *bars, Text(""), channels_table, messages)


def _headline(whole: Mapping[str, Any]) -> Any:
    from rich.text import Text

    status, latency = whole["status"], whole["latency"]
    if "trouble" in status:
        return Text(status["trouble"], style="red")
    state = status.get("state", "…")
    lag = f"lag {status.get('lag_records', 0)} records, {status.get('lag_seconds', 0.0):.1f} s"
    times = f"event to scored p50 {latency['p50']:.2f} s, p95 {latency['p95']:.2f} s"
    processes = f"{status.get('alive', 0)} of {status.get('wanted', 0)} processes"
    words = f"  {whole['total']} scored in view  {lag}  {times}  {processes}"
    return Text.assemble((state, _STATES.get(state, "")), words)


def _style(name: str) -> str:
    return _STYLES.get(name, "cyan")


def _plain(text: str) -> str:
    from millrace.cli.dlq import escaped

    return escaped(text.encode("utf-8", "replace"), most=40)
