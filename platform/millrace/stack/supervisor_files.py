"""supervisord's configuration, and what its log tells of restarts."""

import os
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from millrace.contracts.errors import BadInput
from millrace.stack.programs import Program

_GIVES_UP_AFTER = 100
"""Failed starts in a row before supervisord stops trying: more than an hour, its waits growing by a second each."""
_LOG_BYTES = 10 << 20
_EXITED = re.compile(r"^(\S+ \S+) (?:INFO|WARN) exited: (\S+) \((.+); (?:not )?expected\)$")
_STOPPED = re.compile(r" (?:INFO|WARN) (?:stopped|waiting for): ")


@dataclass(frozen=True)
class Places:
    """Files of one home's supervisor."""

    run: Path
    logs: Path
    socket: Path
    """The Unix socket of its XML-RPC interface."""

    @property
    def configuration(self) -> Path:
        """supervisord.conf."""
        return self.run / "supervisord.conf"

    @property
    def log(self) -> Path:
        """supervisord's own log, new at every start."""
        return self.logs / "supervisord.log"

    @property
    def pid_file(self) -> Path:
        """The daemon's process id."""
        return self.run / "supervisord.pid"

    def log_of(self, name: str) -> Path:
        """A program's log, both streams."""
        return self.logs / f"{name}.log"


@dataclass(frozen=True)
class Exits:
    """How often a program ended without being asked, and how it did the last time (`at` in supervisord's words)."""

    count: int = 0
    last: str | None = None
    at: str | None = None


def configuration_text(programs: Sequence[Program], places: Places) -> str:
    """supervisord.conf: a socket for the owner only, every program restarted with back-off, whole groups stopped.

    Raises:
        BadInput: a path that supervisord cannot be told.
    """

    def relative(path: Path) -> str:
        # supervisord runs in this folder, and expands a percent sign in a path twice
        return os.path.relpath(path, places.run)

    sections: list[tuple[str, dict[str, object]]] = [
        ("unix_http_server", {"file": relative(places.socket), "chmod": "0600"}),
        ("supervisord", {
            "logfile": relative(places.log),
            # rotating would lose the count of restarts; the file is new at every start and takes a line an event
            "logfile_maxbytes": 0,
            "loglevel": "info",
            "pidfile": relative(places.pid_file),
            "childlogdir": relative(places.logs),
            "directory": places.run,
            "identifier": "millrace",
            "umask": "077",
        }),
        ("rpcinterface:supervisor",
         {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"}),
        ("supervisorctl", {"serverurl": f"unix://{places.socket}"}),
    ]  # fmt: skip
    sections += [(f"program:{one.name}", _program(one, places)) for one in programs]
    return "\n".join(_section(name, values) for name, values in sections)


def unasked_exits(log: str) -> dict[str, Exits]:
    """Per program, the exits that supervisord's log calls `exited`: those that nobody asked for."""
    found: dict[str, Exits] = {}
    for line in log.splitlines():
        match = _EXITED.match(line)
        if match and not _STOPPED.search(line):
            at, name, how = match.groups()
            found[name] = Exits(found.get(name, Exits()).count + 1, how, at.partition(",")[0])
    return found


def _program(program: Program, places: Places) -> dict[str, object]:
    values: dict[str, object] = {
        "command": shlex.join(program.command),
        "autostart": "false",
        "autorestart": "true",
        # a process that ends sooner is tried again after 1, 2, 3 … s; a later end is followed by a start at once
        "startsecs": 3,
        "startretries": _GIVES_UP_AFTER,
        "stopsignal": "TERM",
        "stopwaitsecs": program.stop_seconds,
        # runs and workers are children: the whole group goes
        "stopasgroup": "true",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": os.path.relpath(places.log_of(program.name), places.run),
        "stdout_logfile_maxbytes": _LOG_BYTES,
        "stdout_logfile_backups": 3,
    }
    if program.environment:
        values["environment"] = ",".join(f'{name}="{value}"' for name, value in program.environment.items())
    return values


def _section(name: str, values: dict[str, object]) -> str:
    return f"[{name}]\n" + "".join(f"{key} = {_quoted(str(value))}\n" for key, value in values.items())


def _quoted(value: str) -> str:
    if "\n" in value or " ;" in value:
        # supervisord would take the rest of the line for a comment, and knows no way to say otherwise
        raise BadInput(
            f"{value[:200]!r} cannot be given to supervisord",
            field="MILLRACE_HOME",
            remedy="use a path without line breaks and without ' ;'",
        )
    # supervisord expands % in every value
    return value.replace("%", "%%")


def daemon_command(places: Places) -> list[str]:
    """The command that starts supervisord as a daemon."""
    return [sys.executable, "-m", "supervisor.supervisord", "-c", str(places.configuration)]
