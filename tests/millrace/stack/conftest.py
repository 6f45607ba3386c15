"""Small real programs under a real supervisord, in homes that are emptied of processes in the end."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from millrace.settings import Settings
from millrace.stack.environment import child_environment
from millrace.stack.programs import Port, Program
from millrace.stack.supervision import Supervisor
from millrace.stack.up import stop


@pytest.fixture
def make_program(tmp_path: Path) -> Callable[..., Program]:
    """A program that runs Python source."""

    def make(name: str, source: str, *, ports: tuple[Port, ...] = (), **options: object) -> Program:
        script = tmp_path / f"{name}.py"
        script.write_text(source)
        return Program(name, "a test", (sys.executable, "-S", str(script)), ports, **options)

    return make


@pytest.fixture
def supervise(make_settings, tmp_path: Path) -> Iterator[Callable[..., tuple[Settings, Supervisor]]]:
    """`supervise(program, …)` starts them under a supervisord of a new home."""
    homes: list[Settings] = []

    def launch(*programs: Program, folder: str = "one") -> tuple[Settings, Supervisor]:
        settings = make_settings(tmp_path / folder)
        homes.append(settings)
        supervisor = Supervisor(settings)
        supervisor.launch(programs, environment=child_environment(settings))
        for program in programs:
            supervisor.start(program.name)
        return settings, supervisor

    yield launch
    for settings in homes:
        stop(settings)
