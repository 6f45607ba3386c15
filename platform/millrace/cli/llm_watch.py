"""`millrace llm watch`: results as they come."""

import contextlib
import threading
from typing import TYPE_CHECKING, Annotated, Any

import typer

from millrace.cli.output import console, emit, guarded

if TYPE_CHECKING:
    from rich.panel import Panel

_STYLES = {"ok": "green", "truncated": "yellow", "refused": "magenta", "invalid": "red"}
_MOODS = {"positive": "green", "neutral": "white", "negative": "red"}
_LONGEST_TEXT = 1_000


@guarded
def watch(
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Also what is there already.")] = False,
    count: Annotated[int | None, typer.Option(help="End after so many results (default: never).")] = None,
    timeout: Annotated[float | None, typer.Option(help="End after so many seconds (default: never).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, one for each result.")] = False,
) -> None:
    """Show results as they come: status, answer, tokens and seconds."""
    from millrace.cli.llm_settings import llm_settings
    from millrace.streams.documents.following import follow_results

    seen = 0
    with contextlib.suppress(KeyboardInterrupt):
        stop = threading.Event()
        for result in follow_results(llm_settings(), stop=stop, from_beginning=from_beginning, timeout=timeout):
            if as_json:
                emit(result)
            else:
                console().print(panel(result))
            seen += 1
            if seen == count:
                stop.set()


def panel(result: dict[str, Any]) -> "Panel":
    """The result for a person; nothing in it is taken for markup or acted on by a terminal."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    if "unreadable" in result:
        return Panel(plain(f"{result['unreadable']} is no result"), border_style="red")
    status = str(result.get("status"))
    answer = result.get("answer")
    lines: list[Text] = []
    if isinstance(answer, dict):
        lines.append(plain(answer.get("summary", "")))
        mood = str(answer.get("sentiment", ""))
        lines.append(Text.assemble("sentiment: ", (plain(mood).plain, _MOODS.get(mood, "white"))))
        for name in ("key_points", "risks"):
            values = answer.get(name)
            lines += [plain(f"{name.replace('_', ' ')}: {one}") for one in values] if isinstance(values, list) else []
    else:
        lines += [plain(f"problem: {one}") for one in result.get("problems") or ()]
        lines.append(plain(result.get("text") or ""))
    tokens = result.get("tokens_used")
    repaired = ", repaired" if result.get("repaired") else ""
    parts = f", {result.get('chunks')} parts" if result.get("chunks") != 1 else ""
    lines.append(
        Text(
            f"{result.get('processing_time')} s, {'?' if tokens is None else tokens} tokens, finish "
            f"{result.get('finish_reason')}{repaired}{parts}, {plain(result.get('model')).plain}",
            style="dim",
        )
    )
    title = Text.assemble((status, _STYLES.get(status, "white")), " ", plain(result.get("document_id")))
    return Panel(Group(*lines), title=title, title_align="left", subtitle=plain(result.get("document_type")))


def plain(value: object) -> Any:
    """The value as text without control characters, cut to what a person reads."""
    from rich.text import Text

    text = str(value)
    shown = "".join(sign if sign.isprintable() or sign == "\n" else repr(sign)[1:-1] for sign in text[:_LONGEST_TEXT])
    return Text(shown + (" …" if len(text) > _LONGEST_TEXT else ""))
