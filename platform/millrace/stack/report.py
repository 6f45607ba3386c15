"""The state of each program as an operator reads it."""

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from millrace.stack.programs import Program
from millrace.stack.readiness import ready_ones
from millrace.stack.supervision import ProcessInfo, Supervisor
from millrace.stack.supervisor_files import Exits

State = Literal["ready", "starting", "restarting", "stopped", "failed"]


@dataclass(frozen=True)
class ProcessStatus:
    """One program. `restarts` counts the ends that nobody asked for since `up`; `last_exit` says how and when the
    latest was. Memory is resident bytes of the process and its children."""

    name: str
    does: str
    state: State
    pid: int | None
    shown: str
    uptime_seconds: float
    restarts: int
    last_exit: str | None
    memory_bytes: int
    log: Path

    @property
    def running(self) -> bool:
        """Whether the program does its work."""
        return self.state == "ready"

    def to_json(self) -> dict[str, Any]:
        """The facts for `--json`."""
        return {**asdict(self), "log": str(self.log), "running": self.running}


def statuses(supervisor: Supervisor, programs: Sequence[Program]) -> list[ProcessStatus]:
    """Each program's state, in their order.

    Raises:
        CannotReach: supervisord does not answer.
    """
    processes = supervisor.processes()
    ready = ready_ones(programs, processes)
    by_name, exits = {one.name: one for one in processes}, supervisor.exits()
    return [
        _status(supervisor, program, by_name.get(program.name), exits.get(program.name, Exits()), program.name in ready)
        for program in programs
    ]


def _status(
    supervisor: Supervisor, program: Program, process: ProcessInfo | None, exits: Exits, ready: bool
) -> ProcessStatus:
    return ProcessStatus(
        name=program.name,
        does=program.does,
        state=_state(process, exits, ready),
        pid=process.pid if process else None,
        shown=program.shown,
        uptime_seconds=process.uptime if process else 0.0,
        restarts=exits.count,
        last_exit=f"{exits.last} at {exits.at}" if exits.last else None,
        memory_bytes=_memory(process.pid) if process and process.pid else 0,
        log=supervisor.places.log_of(program.name),
    )


def _state(process: ProcessInfo | None, exits: Exits, ready: bool) -> State:
    if ready:
        return "ready"
    if process is None or process.state in ("STOPPED", "STOPPING"):
        return "stopped"
    if process.state == "FATAL":
        return "failed"
    return "restarting" if exits.count else "starting"


def _memory(pid: int) -> int:
    total = 0
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += int(process.memory_info().rss)
    return total
