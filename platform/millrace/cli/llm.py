"""`millrace llm …`: documents through a language model."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from millrace.cli.llm_run import run
from millrace.cli.llm_watch import watch
from millrace.cli.output import Json, console, emit, guarded

if TYPE_CHECKING:
    from millrace.streams.documents.audit_verify import TrailVerification

app = typer.Typer(help="Documents through a language model, and the trail of what was asked.", no_args_is_help=True)
app.command("run")(run)
app.command("watch")(watch)

_STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}


@app.command()
@guarded
def produce(
    count: Annotated[int, typer.Option("--count", "-n", help="How many documents.")] = 8,
    seed: Annotated[int, typer.Option(help="The same seed makes the same documents.")] = 0,
    rate: Annotated[
        float | None, typer.Option(help="Documents a second at most (default: as fast as it goes).")
    ] = None,
    bad: Annotated[float, typer.Option(help="Share of messages that are no documents, 0 to 1.")] = 0.0,
    as_json: Json = False,
) -> None:
    """Send made-up financial documents: earnings reports, SEC filings, news, analyst notes, rating actions and more."""
    from millrace.cli.llm_settings import llm_settings
    from millrace.streams.documents.producing import produce_documents

    done = produce_documents(llm_settings(), count=count, seed=seed, rate=rate, bad_share=bad)
    if as_json:
        emit(vars(done))
    else:
        console().print(f"{done.sent} documents to {done.topic} in {done.seconds:.1f} s, {done.bad} of them bad")


@app.command()
@guarded
def doctor(as_json: Json = False) -> None:
    """Look at broker, topics, the language model's server and the audit trail, and try one document."""
    from rich.text import Text

    from millrace.cli.llm_settings import llm_settings
    from millrace.streams.documents.doctor import examine

    looks = examine(llm_settings())
    failed = any(one.level == "fail" for one in looks)
    if as_json:
        emit({"healthy": not failed, "findings": [vars(one) for one in looks]})
    else:
        for one in looks:
            words = Text.assemble((f"{one.level:4} ", _STYLES[one.level]), f"{one.name}: {one.seen}")
            console().print(words, soft_wrap=True)
            if one.remedy:
                console().print(Text(f"     to fix: {one.remedy}"), soft_wrap=True)
    if failed:
        raise typer.Exit(5)


@app.command()
@guarded
def statistics(
    last: Annotated[int, typer.Option(help="Windows to show, the newest.")] = 12, as_json: Json = False
) -> None:
    """Show what came of documents per five minutes: rates, tokens, lengths and seconds."""
    from millrace.cli.tables import plain_table
    from millrace.settings import load
    from millrace.streams.documents.statistics_store import read_windows, statistics_folder

    windows = list(read_windows(statistics_folder(load())).items())[-max(1, last) :]
    if as_json:
        emit({"windows": [{**vars(key), **one.figures()} for key, one in windows]})
        return
    table = plain_table(
        "from", "model", "documents", "ok", "refused", "truncated", "invalid", "tokens", "p50 s", "p95 s"
    )
    for key, one in windows:
        table.add_row(*_row(key.start, key.model, one.figures()))
    console().print(table if windows else "no document was processed yet")


def _row(start: int, model: str, told: dict[str, Any]) -> list[Any]:
    from datetime import UTC, datetime

    from rich.text import Text

    rates = [f"{100 * told[f'{name}_rate']:.0f} %" for name in ("ok", "refusal", "truncation", "invalid")]
    tokens = sum(told[name]["mean"] or 0 for name in ("prompt_tokens", "completion_tokens"))
    seconds = [f"{told['seconds'][name] or 0:.2f}" for name in ("p50", "p95")]
    at = datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%d %H:%M")
    return [at, Text(model), str(told["documents"]), *rates, f"{tokens:.0f}", *seconds]


@app.command()
@guarded
def verify(
    head: Annotated[
        list[str] | None,
        typer.Option("--head", help="SEQ:HASH of an entry, from a result's header millrace-audit; may be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Verify the audit trail: every byte of every entry, their order, and the end; exit code 6 when it is broken."""
    from millrace.settings import load
    from millrace.streams.documents.audit import anchor_path, trail_path
    from millrace.streams.documents.audit_entries import read_head
    from millrace.streams.documents.audit_verify import verify_trail

    settings = load()
    heads = [read_head(one) for one in head or ()]
    found = verify_trail(trail_path(settings), anchor_path(settings), heads=heads)
    if as_json:
        emit(found.to_json())
        raise typer.Exit(6 if found.failures else 0)
    _tell(found)
    found.require()


def _tell(found: "TrailVerification") -> None:
    from millrace.streams.documents.audit_verify import LIMITS

    console().print(f"{found.entries} entries, head {found.head}", soft_wrap=True)
    for failure in found.failures:
        console().print(str(failure), style="red", markup=False, soft_wrap=True)
    if found.torn_bytes:
        console().print(
            f"the last line is unfinished ({found.torn_bytes} bytes): a crash, or a process that writes now"
        )
    if not found.failures:
        console().print("intact", style="green")
    console().print(LIMITS, style="dim")
