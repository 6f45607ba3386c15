"""A platform of a benchmark's own: in a folder it is given, on free ports, ended afterwards."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# the scripts' folder comes last: its warm_runs.py would hide the package of that name
if Path(sys.path[0]) == Path(__file__).parent:
    sys.path.append(sys.path.pop(0))

_PORTS = ("API", "KAFKA", "KAFKA_CONTROLLER", "DAGSTER", "CODE_SERVER", "MLFLOW", "CONDUCTOR")


@dataclass(frozen=True)
class Platform:
    """Where the platform is and how to speak to it."""

    home: Path
    environment: dict[str, str]

    @property
    def api(self) -> str:
        """URL of the API."""
        return f"http://127.0.0.1:{self.environment['MILLRACE_API_PORT']}"

    @property
    def bootstrap(self) -> str:
        """Kafka bootstrap server."""
        return f"127.0.0.1:{self.environment['MILLRACE_KAFKA_PORT']}"

    @property
    def dagster(self) -> str:
        """URL of Dagster's pages."""
        return f"http://127.0.0.1:{self.environment['MILLRACE_DAGSTER_PORT']}"

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs `millrace …`."""
        return subprocess.run(
            [sys.executable, "-m", "millrace.cli.main", *words],
            env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def pid(self, name: str) -> int | None:
        """Process id of a supervised program; None while it is not there."""
        told = json.loads(self.command("status", "--json").stdout.strip().splitlines()[-1])
        return next((one["pid"] for one in told["processes"] if one["name"] == name), None)


@contextmanager
def platform_at(home: Path, **settings: str) -> Iterator[Platform]:
    """A platform that is up; the folder keeps its logs."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MILLRACE_", "KAFKA_"))}
    ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
    environment = {
        **inherited,
        "MILLRACE_HOME": str(home / "home"),
        **{f"MILLRACE_{name}_PORT": str(port) for name, port in ports.items()},
        **settings,
    }
    platform = Platform(home / "home", environment)
    started = platform.command("up", "--detach")
    if started.returncode != 0:
        raise SystemExit(started.stdout + started.stderr)
    try:
        yield platform
    finally:
        platform.command("down")


def free_ports(count: int) -> list[int]:
    """Ports that nothing listened on a moment ago, all different."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()
