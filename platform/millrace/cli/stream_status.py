"""`millrace stream status`: lag, states, rates and processes of one stream."""

from typing import TYPE_CHECKING, Annotated

import typer

from millrace.cli.output import DONE, UNREACHABLE, Json, console, emit, guarded

if TYPE_CHECKING:
    from millrace.streams.status import StreamStatus

_STYLES = {"OK": "green", "WARN": "yellow", "REWIND": "yellow", "STALLED": "red", "STOPPED": "red"}


@guarded
def status(
    stream: Annotated[str, typer.Argument(help="The stream.")] = "score_events",
    samples: Annotated[int, typer.Option(help="Looks at the lag where its processes remember none yet.")] = 3,
    as_json: Json = False,
) -> None:
    """Show a stream's lag in records and seconds, whether it comes on, its rate, and when it last committed.

    Exit code 5 when a partition is STOPPED or STALLED, or nothing runs that should.
    """
    from millrace.settings import load
    from millrace.streams.names import topics_of
    from millrace.streams.status import status_of
    from millrace.warehouse.store import open_warehouse

    settings = load()
    store = open_warehouse(settings, migrate=True)
    found = status_of(settings, store, stream, topics_of(settings, stream), samples=samples)
    if as_json:
        emit(found.to_json())
    else:
        _tell(found)
    raise typer.Exit(UNREACHABLE if found.state in ("STOPPED", "STALLED") and found.wanted.wanted else DONE)


def _tell(found: "StreamStatus") -> None:
    from rich.text import Text

    from millrace.cli.tables import plain_table

    wanted = found.wanted
    console().print(
        Text.assemble(
            f"{wanted.stream}: ", (found.state, _STYLES[found.state]),
            f"  {found.alive} of {wanted.wanted} processes, {found.rate:.1f} records a second, "
            f"{found.dead_letters} dead letters, "
            + ("no commit yet" if found.commit_age is None else f"last commit {found.commit_age:.0f} s ago"),
        )
    )  # fmt: skip
    if wanted.halted:
        console().print(Text(f"halted: {wanted.halted}", style="red"), soft_wrap=True)
    table = plain_table("partition", "state", "lag", "seconds", "committed", "end", whole="partition")
    for one in found.partitions:
        lag = one.lag
        committed = "" if lag.committed is None else str(lag.committed)
        table.add_row(f"{lag.topic}/{lag.partition}", Text(one.state, style=_STYLES[one.state]), str(lag.records),
                      f"{lag.seconds:.1f}", committed, str(lag.end))  # fmt: skip
    console().print(table)
    members = plain_table("slot", "process", "since", "run", "ended", whole="run")
    for member in found.members:
        since = f"{member.started_at:%Y-%m-%d %H:%M:%S}"
        ended = "" if member.alive else member.outcome or "no sign of life"
        members.add_row(str(member.slot), f"{member.pid} on {member.host}", since, member.run_id[:8], Text(ended))
    console().print(members)
