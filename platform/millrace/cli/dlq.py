"""`millrace dlq …`: dead letters by their causes, one of them in full, and sending them again."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from millrace.cli.output import Json, console, emit, guarded

if TYPE_CHECKING:
    from millrace.kafka.letters import Letter

app = typer.Typer(help="Look at dead letters and send them again.", no_args_is_help=True)

_SHOWN_BYTES = 2_000
"""Of a payload on the terminal or in JSON; the whole of it is saved with --raw."""

Topics = Annotated[list[str] | None, typer.Argument(help="Topics whose dead letters are meant (default: all).")]


@app.command("list")
@guarded
def list_(topics: Topics = None, as_json: Json = False) -> None:
    """List the causes of dead letters: topic, stage, error class and message, with counts and times."""
    from millrace.cli.tables import plain_table
    from millrace.kafka.dead_letter_topics import dead_letter_topics, read_letters
    from millrace.kafka.letters import clusters
    from millrace.kafka.replay import history
    from millrace.settings import load

    settings = load()
    found = dead_letter_topics(settings, topics or ())
    replayed = frozenset(entry["origin_id"] for entry in history(settings))
    causes = clusters(read_letters(settings, found), replayed=replayed)
    if as_json:
        emit({"letters": sum(one.count for one in causes), "causes": [_json(vars(one)) for one in causes]})
        return
    if not causes:
        console().print(f"no dead letters in {len(found)} topics")
        return
    table = plain_table("cause", "count", "replayed", "topic", "stage", "error", "first", "last", "example",
                        whole="cause")  # fmt: skip
    for one in causes:
        first, last = (at.strftime("%Y-%m-%d %H:%M:%S") for at in (one.first_at, one.last_at))
        cells = [one.cause_id, str(one.count), str(one.replayed), one.topic, one.stage,
                 f"{one.error}: {one.message}", first, last, one.example]  # fmt: skip
        table.add_row(*map(_plain, cells))
    console().print(table)


@app.command()
@guarded
def show(
    place: Annotated[str, typer.Argument(help="Dead-letter topic, partition and offset: events.dlq/0/17.")],
    raw: Annotated[Path | None, typer.Option("--raw", help="File that gets the payload's bytes, untouched.")] = None,
    as_json: Json = False,
) -> None:
    """Show one dead letter: where it came from, why it is here, its headers and its payload."""
    from millrace.kafka.dead_letter_topics import letter_at
    from millrace.settings import load

    letter = letter_at(load(), place)
    if raw is not None:
        _save(raw, letter.record.value)
    told = _told(letter) | ({"raw": str(raw)} if raw is not None else {})
    if as_json:
        emit(told)
        return
    for name, value in told.items():
        if isinstance(value, list):
            for header in value:
                console().print(_plain(f"header {header['name']}: {header['value']}"), soft_wrap=True)
        else:
            console().print(_plain(f"{name.replace('_', ' ')}: {value}"), soft_wrap=True)


@app.command()
@guarded
def replay(
    topics: Topics = None,
    cause: Annotated[list[str] | None, typer.Option(help="Only letters of this cause; may be repeated.")] = None,
    to: Annotated[str | None, typer.Option(help="Topic to send to (default: the one each letter came from).")] = None,
    rate: Annotated[float, typer.Option(help="Letters a second at most.")] = 100.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and send nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Send dead letters again, each once per target topic: what an earlier replay sent is skipped."""
    from millrace.kafka.dead_letter_topics import dead_letter_topics, read_letters
    from millrace.kafka.letters import of_cause
    from millrace.kafka.replay import replay as send_again
    from millrace.settings import load

    settings = load()
    found = dead_letter_topics(settings, topics or ())
    done = send_again(
        settings,
        lambda: of_cause(read_letters(settings, found), cause or ()),
        target=to, rate=rate, dry_run=dry_run, actor=f"cli:{settings.user}",
    )  # fmt: skip
    if as_json:
        emit(vars(done))
        return
    what = "would be sent" if dry_run else "sent"
    console().print(f"{done.matched} letters: {done.sent} {what}, {done.skipped} were sent before")
    for target, count in sorted(done.by_target.items()):
        console().print(_plain(f"{count} to {target}"))


def _told(letter: "Letter") -> dict[str, Any]:
    value = letter.record.value
    return {
        "place": letter.place,
        "cause": letter.cause_id,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "timestamp_ms": letter.timestamp_ms,
        "stage": letter.stage,
        "error": letter.error,
        "message": letter.message,
        "attempt": letter.attempt,
        "code_version": letter.code_version,
        "key": None if letter.record.key is None else escaped(letter.record.key),
        "headers": [{"name": name, "value": escaped(header or b"")} for name, header in letter.headers],
        "size_bytes": len(value),
        "payload": escaped(value),
    }


def escaped(data: bytes, *, most: int = _SHOWN_BYTES) -> str:
    """The first `most` bytes as text that no terminal acts on; what is not printable is written as an escape."""
    text = data[:most].decode("utf-8", "backslashreplace")
    shown = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text)
    return shown + (f" … ({len(data) - most} more bytes)" if len(data) > most else "")


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(escaped(text.encode("utf-8", "replace"), most=1 << 16))


def _json(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in facts.items()}


def _save(path: Path, data: bytes) -> None:
    from millrace.contracts.errors import BadInput

    try:
        path.write_bytes(data)
    except OSError as error:
        raise BadInput(
            f"{path} cannot be written: {error.strerror}", field="raw", remedy="name another file"
        ) from error
