"""`millrace llm …`: documents through a language model."""

from typing import TYPE_CHECKING, Annotated

import typer

from millrace.cli.output import Json, console, emit, guarded

if TYPE_CHECKING:
    from millrace.streams.documents.audit_verify import TrailVerification

app = typer.Typer(help="Documents through a language model, and the trail of what was asked.", no_args_is_help=True)


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
    found = verify_trail(
        trail_path(settings), anchor_path(settings), heads=[read_head(one) for one in head or ()]
    )  # fmt: skip
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
