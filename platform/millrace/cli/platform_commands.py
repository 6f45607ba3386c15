"""`millrace up | down | status | doctor | env`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from millrace.cli.output import DONE, UNREACHABLE, Json, console, emit, errors, guarded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table

    from millrace.settings import Settings

_STYLES = {
    "ready": "green", "ok": "green", "starting": "yellow", "restarting": "yellow", "warn": "yellow",
    "stopped": "dim", "failed": "red", "fail": "red",
}  # fmt: skip
_MIB = 1 << 20


@guarded
def up(
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Come back when all is ready.")] = False,
    as_json: Json = False,
) -> None:
    """Start the whole platform on this machine: broker, API, conductor, Dagster and MLflow.

    Without --detach it stays in the foreground until Ctrl-C, and then stops what it started. A platform that is up is
    left as it is. The first start fetches the broker (43 MB) and takes longer.
    """
    from millrace.settings import load
    from millrace.stack.up import stop, wait

    settings = load()
    found = bring_up(settings)
    if as_json:
        emit({"status": "ready", "processes": [one.to_json() for one in found], "url": settings.api_url})
    else:
        console().print(_processes_table(found))
        console().print(f"Ready: {settings.api_url}", soft_wrap=True)
    if detach:
        return
    errors().print("Ctrl-C stops the platform.")
    try:
        wait(settings)
    finally:
        errors().print("stopping")
        stop(settings)


@guarded
def down(as_json: Json = False) -> None:
    """Stop the platform; within 20 s no process of it is left. What is stored stays."""
    from millrace.settings import load
    from millrace.stack.up import stop

    was_up = stop(load())
    if as_json:
        emit({"status": "stopped", "was_up": was_up})
    else:
        console().print("The platform is stopped." if was_up else "The platform was not up.")


@guarded
def status(as_json: Json = False) -> None:
    """Show what runs where, since when, and what had to be started again. Exit code 5 when a part is not ready."""
    from millrace.settings import load
    from millrace.stack.up import status as look

    settings = load()
    found = look(settings)
    ready = bool(found) and all(one.running for one in found)
    if as_json:
        state = "ready" if ready else "not ready" if found else "down"
        emit({"status": state, "processes": [one.to_json() for one in found], "url": settings.api_url})
    elif found:
        console().print(_processes_table(found))
    else:
        console().print(f"The platform of {settings.home} is not up. Start it with `millrace up`.", soft_wrap=True)
    raise typer.Exit(DONE if ready else UNREACHABLE)


@guarded
def doctor(as_json: Json = False) -> None:
    """Look at everything the platform needs here: Java, ports, disk, memory, broker, database, versions.

    Each line says what to do. Exit code 5 when something keeps the platform from working.
    """
    from rich.text import Text

    from millrace.cli.tables import plain_table
    from millrace.settings import load
    from millrace.stack.doctor import examine

    found = examine(load())
    healthy = all(one.level != "fail" for one in found)
    if as_json:
        emit({"healthy": healthy, "findings": [one.to_json() for one in found]})
        raise typer.Exit(DONE if healthy else UNREACHABLE)
    table = plain_table("what", "", "seen", "what to do")
    for one in found:
        style = _STYLES[one.level]
        table.add_row(one.name, Text(one.level, style=style), Text(one.seen), Text(one.remedy or ""))
    console().print(table)
    raise typer.Exit(DONE if healthy else UNREACHABLE)


@guarded
def env(
    settings: Annotated[
        bool, typer.Option("--settings", help="List every setting with its default and one sentence instead.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print the environment that makes dagster, dg and mlflow use this platform: eval "$(millrace env)".

    With --settings, every variable that Millrace reads is explained.
    """
    import shlex

    from millrace.cli.settings_help import explained

    if settings:
        rows = explained()
        if as_json:
            emit({"settings": rows})
        else:
            console().print(_settings_table(rows))
        return
    from millrace.settings import load
    from millrace.stack.environment import environment

    found = environment(load())
    if as_json:
        emit(found)
        return
    for name, value in sorted(found.items()):
        typer.echo(f"export {name}={shlex.quote(value)}")


def bring_up(settings: "Settings") -> list[Any]:
    """Starts the platform and tells of each part on standard error; the state of its programs.

    Raises:
        BadInput: a port is taken or a setting cannot be used.
        CannotReach: a part did not become ready.
    """
    from millrace.stack.up import start

    screen = errors()
    with screen.status("starting the platform") as shown:

        def progress(name: str, state: str) -> None:
            shown.update(f"{name}: {state}")
            if not screen.is_terminal:
                screen.print(f"{name}: {state}", markup=False)

        return start(settings, progress=progress)


def _processes_table(found: "Sequence[Any]") -> "Table":
    from rich.text import Text

    from millrace.cli.tables import plain_table
    from millrace.cli.words import duration

    # a quiet platform fits 80 columns; the column of restarts comes when there is something to say in it
    hurt = any(one.restarts for one in found)
    table = plain_table("part", "state", "where", "pid", "up", "memory", *(["started again"] if hurt else []))
    for column in table.columns[:3]:
        column.no_wrap = True
    for one in found:
        row = [
            one.name,
            Text(one.state, style=_STYLES[one.state]),
            one.shown,
            str(one.pid or ""),
            duration(one.uptime_seconds) if one.pid else "",
            f"{one.memory_bytes // _MIB} MiB" if one.memory_bytes else "",
        ]
        if hurt:
            row.append(Text(f"{one.restarts}, last after {one.last_exit}" if one.restarts else ""))
        table.add_row(*row)
    return table


def _settings_table(rows: "Iterable[dict[str, str]]") -> "Table":
    from rich.text import Text

    from millrace.cli.tables import plain_table

    table = plain_table("variable", "default", "what it is")
    for row in rows:
        table.add_row(row["variable"], Text(row["default"]), Text(row["says"]))
    return table
