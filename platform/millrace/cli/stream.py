"""`millrace stream …`: long-running streams."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from millrace.cli.output import Json, console, emit, guarded
from millrace.cli.stream_demo import demo
from millrace.cli.stream_model import model, models
from millrace.cli.stream_produce import produce
from millrace.cli.stream_sink import sink
from millrace.cli.stream_status import status
from millrace.cli.stream_watch import watch

if TYPE_CHECKING:
    from millrace.settings import Settings
    from millrace.streams.members import Member
    from millrace.streams.wanted import Wanted
    from millrace.warehouse.store import Warehouse

app = typer.Typer(help="Start, stop and watch long-running streams.", no_args_is_help=True)
app.command()(status)
app.command()(produce)
app.command()(sink)
app.command()(watch)
app.command()(model)
app.command()(models)
app.command()(demo)

Name = Annotated[str, typer.Argument(help="The stream.")]
_DEFAULT = "score_events"


@app.command()
@guarded
def start(
    stream: Name = _DEFAULT,
    processes: Annotated[int, typer.Option("-n", "--processes", help="How many, up to the topic's partitions.")] = 1,
    as_json: Json = False,
) -> None:
    """Ask for a stream to run. Dagster starts its processes within seconds, and again whenever one dies."""
    from millrace.streams.wanted import start as ask

    settings, store = _open()
    _answer(settings, ask(store, stream, processes=processes, actor=f"cli:{settings.user}"), as_json=as_json)


@app.command()
@guarded
def stop(stream: Name = _DEFAULT, as_json: Json = False) -> None:
    """Ask for a stream to end: each process commits what it has in work. What was not read waits in the topic."""
    from millrace.streams.wanted import stop as ask

    settings, store = _open()
    _answer(settings, ask(store, stream, actor=f"cli:{settings.user}"), as_json=as_json)


@app.command()
@guarded
def restart(stream: Name = _DEFAULT, as_json: Json = False) -> None:
    """Ask for new processes in the place of those that run: they load the code and the model anew."""
    from millrace.streams.wanted import restart as ask

    settings, store = _open()
    _answer(settings, ask(store, stream, actor=f"cli:{settings.user}"), as_json=as_json)


@app.command("list")
@guarded
def list_(as_json: Json = False) -> None:
    """List the streams: how many processes are wanted, how many live, and why one is halted."""
    from rich.text import Text

    from millrace.cli.tables import plain_table
    from millrace.streams.members import members_of
    from millrace.streams.names import STREAMS
    from millrace.streams.wanted import all_wanted

    _, store = _open()
    found = [(wanted, members_of(store, wanted.stream)) for wanted in all_wanted(store)]
    if as_json:
        emit({"streams": [_told(wanted, members) for wanted, members in found]})
        return
    table = plain_table("stream", "wanted", "live", "halted", "does", whole="stream")
    for wanted, members in found:
        live = sum(one.alive for one in members)
        halted = Text(wanted.halted or "")
        table.add_row(wanted.stream, str(wanted.wanted), str(live), halted, STREAMS[wanted.stream])
    console().print(table)


def _open() -> "tuple[Settings, Warehouse]":
    from millrace.settings import load
    from millrace.warehouse.store import open_warehouse

    settings = load()
    return settings, open_warehouse(settings, migrate=True)


def _answer(settings: "Settings", wanted: "Wanted", *, as_json: bool) -> None:
    from millrace.stack.up import status as platform_status

    up = bool(platform_status(settings))
    if as_json:
        emit({"stream": wanted.stream, "wanted": wanted.wanted, "epoch": wanted.epoch, "platform_up": up})
        return
    count = f"{wanted.wanted} process{'' if wanted.wanted == 1 else 'es'}" if wanted.wanted else "no process"
    console().print(f"{wanted.stream}: {count} wanted; see `millrace stream list`")
    if not up:
        console().print("The platform is not up here: start it with `millrace up`, and this takes effect.")


def _told(wanted: "Wanted", members: "list[Member]") -> dict[str, Any]:
    return {
        "stream": wanted.stream,
        "wanted": wanted.wanted,
        "epoch": wanted.epoch,
        "halted": wanted.halted,
        "changed_at": wanted.changed_at,
        "changed_by": wanted.changed_by,
        "members": [vars(one) for one in members],
    }
