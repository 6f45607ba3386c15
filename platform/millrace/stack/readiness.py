"""Waits until programs do their work, and says as each becomes ready."""

import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx

from millrace.contracts.errors import CannotReach
from millrace.stack.programs import Program
from millrace.stack.supervision import ProcessInfo, Supervisor
from warm_runs.wire import PoolUnreachable, ask

_LOOK_SECONDS = 2.0
_AGAIN_SECONDS = 0.1
_SETTLED_SECONDS = 3.0
"""A program without a port counts as ready when it has lived as long as supervisord wants (startsecs)."""

Progress = Callable[[str, str], None]
"""Called with a program's name and what became of it: `preparing`, `starting` or `ready`."""


def is_ready(program: Program, process: ProcessInfo | None) -> bool:
    """Whether the program does its work now."""
    if process is None or process.pid is None:
        return False
    if program.answers is not None:
        url = program.answers
        try:
            # certificate authorities take 24 ms of a processor to read: not for http, and ten times a second
            tls = not url.startswith("http:")
            return httpx.get(url, timeout=_LOOK_SECONDS, trust_env=False, verify=tls).status_code == 200
        except httpx.HTTPError:
            return False
    if program.ports:
        try:
            with socket.create_connection(("127.0.0.1", program.ports[0].number), timeout=_LOOK_SECONDS):
                return True
        except OSError:
            return False
    if program.pool is not None:
        try:
            return bool(ask(program.pool, {"op": "status"}, timeout_s=_LOOK_SECONDS)["preloaded"])
        except PoolUnreachable:
            return False
    return process.state == "RUNNING" and process.uptime >= _SETTLED_SECONDS


def ready_ones(programs: Sequence[Program], processes: Sequence[ProcessInfo]) -> set[str]:
    """Names of the programs that do their work now, all looked at at once."""
    by_name = {one.name: one for one in processes}
    with ThreadPoolExecutor(max_workers=max(1, len(programs))) as pool:
        states = pool.map(lambda one: is_ready(one, by_name.get(one.name)), programs)
        return {program.name for program, ready in zip(programs, states, strict=True) if ready}


def wait_until_ready(
    supervisor: Supervisor, programs: Sequence[Program], *, seconds: float, progress: Progress | None = None
) -> None:
    """Comes back when every program is ready.

    Raises:
        CannotReach: one was not ready in time or supervisord gave it up; names it, its log and its last words.
    """
    deadline = time.monotonic() + seconds
    waiting = list(programs)
    while waiting:
        processes = supervisor.processes()
        done = ready_ones(waiting, processes)
        if progress is not None:
            for name in sorted(done):
                progress(name, "ready")
        waiting = [program for program in waiting if program.name not in done]
        states = {one.name: one.state for one in processes}
        lost = [one for one in waiting if states.get(one.name) == "FATAL" or supervisor.exits_of(one.name).count >= 3]
        if lost or (waiting and time.monotonic() > deadline):
            raise _not_ready(supervisor, lost or waiting, seconds=seconds, lost=bool(lost))
        if waiting:
            time.sleep(_AGAIN_SECONDS)


def _not_ready(supervisor: Supervisor, programs: Sequence[Program], *, seconds: float, lost: bool) -> CannotReach:
    first = programs[0]
    log = supervisor.places.log_of(first.name)
    said = log.read_text(encoding="utf-8", errors="replace")[-600:].strip() if log.exists() else ""
    names = ", ".join(one.name for one in programs)
    what = f"{names} ended again and again" if lost else f"{names} did not become ready within {seconds:.0f} s"
    return CannotReach(f"{what}. Last words of {first.name}: {said or 'none'}", remedy=f"read {log}")
