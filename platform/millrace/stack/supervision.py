"""Starts supervisord for a home, and asks it things over its Unix socket."""

import http.client
import os
import subprocess
import tempfile
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import Faults, SupervisorTransport

from millrace.contracts.errors import CannotReach
from millrace.settings import Settings
from millrace.stack.programs import Program
from millrace.stack.supervisor_files import Exits, Places, configuration_text, daemon_command, unasked_exits

_START_SECONDS = 20.0
_LONGEST_SOCKET_PATH = 90
"""A Unix socket's path has room for 107 bytes on Linux and 103 on macOS; supervisord adds its pid while binding."""


@dataclass(frozen=True)
class ProcessInfo:
    """A program as supervisord sees it: its state (RUNNING, STARTING, BACKOFF, …), pid and seconds since its start."""

    name: str
    state: str
    pid: int | None
    uptime: float
    said: str


class Supervisor:
    """The supervisor of one home."""

    def __init__(self, settings: Settings) -> None:
        self.places = places_of(settings)

    def alive(self) -> bool:
        """Whether it answers."""
        try:
            self._ask("getState")
        except CannotReach:
            return False
        return True

    def launch(self, programs: Sequence[Program], *, environment: Mapping[str, str]) -> None:
        """Starts supervisord as a daemon that knows the programs; none of them is started yet.

        Raises:
            CannotReach: it did not come up; gives the end of its log.
        """
        places = self.places
        for folder in (places.run, places.logs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        places.log.unlink(missing_ok=True)
        places.configuration.write_text(configuration_text(programs, places), encoding="utf-8")
        done = subprocess.run(
            daemon_command(places), env=dict(environment), capture_output=True, text=True, cwd=places.run, check=False
        )
        deadline = time.monotonic() + _START_SECONDS
        while not self.alive():
            if done.returncode != 0 or time.monotonic() > deadline:
                said = done.stderr or (places.log.read_text(encoding="utf-8") if places.log.exists() else "")
                raise CannotReach(f"supervisord did not start: {said.strip()[-500:]}", remedy=f"see {places.log}")
            time.sleep(0.05)

    def start(self, name: str) -> None:
        """Starts a program without waiting for it; one that runs is left alone."""
        try:
            self._ask("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != Faults.ALREADY_STARTED:
                raise CannotReach(
                    f"{name} could not be started: {fault.faultString}", remedy=f"see {self.places.log_of(name)}"
                ) from fault

    def processes(self) -> list[ProcessInfo]:
        """Every program, in order of its name.

        Raises:
            CannotReach: supervisord does not answer.
        """
        return [
            ProcessInfo(
                name=one["name"],
                state=one["statename"],
                pid=one["pid"] or None,
                uptime=float(max(0, one["now"] - one["start"])) if one["pid"] else 0.0,
                said=one["spawnerr"] or one["description"],
            )
            for one in self._ask("getAllProcessInfo")
        ]

    def exits(self) -> dict[str, Exits]:
        """Per program, the ends that nobody asked for since the start."""
        log = self.places.log
        return unasked_exits(log.read_text(encoding="utf-8", errors="replace")) if log.exists() else {}

    def exits_of(self, name: str) -> Exits:
        """The ends of one program that nobody asked for."""
        return self.exits().get(name, Exits())

    def stop_programs(self) -> None:
        """Asks every program to end, all at once, without waiting."""
        self._ask("stopAllProcesses", False)

    def shut_down(self) -> bool:
        """Asks supervisord to stop all its programs and itself, without waiting; False when it does not answer."""
        try:
            self._ask("shutdown")
        except CannotReach:
            return False
        return True

    def _ask(self, method: str, *arguments: Any) -> Any:
        path = self.places.socket
        try:
            if path.stat().st_uid != os.getuid():
                raise CannotReach(f"{path} belongs to someone else", field="MILLRACE_HOME", remedy="use another home")
            transport = SupervisorTransport(None, None, f"unix://{path}")
            with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as proxy:
                return getattr(proxy.supervisor, method)(*arguments)
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
            raise CannotReach("the platform is not up", remedy="run `millrace up`") from error


def places_of(settings: Settings) -> Places:
    """Where the home's supervisor keeps its files; its socket is elsewhere when the home's path is too long for one."""
    run = settings.home / "run"
    socket = run / "supervisor.sock"
    if len(os.fsencode(socket)) > _LONGEST_SOCKET_PATH:
        name = sha256(os.fsencode(settings.home)).hexdigest()[:16]
        socket = Path(tempfile.gettempdir()) / f"millrace-{os.getuid()}-{name}.sock"
    return Places(run, settings.logs, socket)
