"""Starts, stops and looks at the platform of one home on this machine."""

import fcntl
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType

from millrace.contracts.errors import CannotReach
from millrace.settings import Settings
from millrace.stack.dagster_home import create_storage, install_dagster_home
from millrace.stack.environment import child_environment
from millrace.stack.leftovers import end_all
from millrace.stack.ports import check_ports
from millrace.stack.programs import Program, programs
from millrace.stack.readiness import Progress, wait_until_ready
from millrace.stack.report import ProcessStatus, statuses
from millrace.stack.supervision import Supervisor

__all__ = ["ProcessStatus", "start", "status", "stop", "wait"]

READY_SECONDS = 180.0
"""A warm machine takes less than 40 s; MLflow's first start migrates its database, and slow disks exist."""
_STOP_SECONDS = 11.0
"""Above the programs' own stop time; with the sweep behind it, below the 20 s that `down` promises."""
_WATCH_SECONDS = 1.0


def start(
    settings: Settings, *, progress: Progress | None = None, seconds: float = READY_SECONDS
) -> list[ProcessStatus]:
    """The programs, all ready. A platform that is up is left as it is; what this call started ends when it fails.

    Raises:
        BadInput: a port is taken or a setting cannot be used.
        CannotReach: a part did not become ready; names its log.
    """
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _one_at_a_time(settings), _signals_interrupt():
        supervisor = Supervisor(settings)
        if supervisor.alive():
            return _complete(settings, supervisor, progress=progress, seconds=seconds)
        try:
            return _bring_up(settings, supervisor, progress=progress, seconds=seconds)
        except BaseException:
            stop(settings)
            raise


def stop(settings: Settings) -> bool:
    """Ends every process of the home, runs included; False when none was there.

    Raises:
        CannotReach: a process could not be ended; gives its id.
    """
    supervisor = Supervisor(settings)
    was_up = supervisor.alive()
    if was_up:
        supervisor.stop_programs()
        _until(lambda: all(one.pid is None for one in supervisor.processes()), seconds=_STOP_SECONDS)
        supervisor.shut_down()
        _until(lambda: not supervisor.alive(), seconds=2.0)
    left = end_all(settings.home)
    if left:
        raise CannotReach(
            f"processes {', '.join(map(str, left))} could not be ended", remedy="end them as the user who started them"
        )
    supervisor.places.socket.unlink(missing_ok=True)
    return was_up


def status(settings: Settings) -> list[ProcessStatus]:
    """Each program's state; empty when the platform is not up."""
    supervisor = Supervisor(settings)
    try:
        return statuses(supervisor, _programs(settings))
    except CannotReach:
        return []


def wait(settings: Settings) -> None:
    """Comes back when the platform was stopped from elsewhere.

    Raises:
        KeyboardInterrupt: Ctrl-C, a termination signal or the terminal's end.
    """
    supervisor = Supervisor(settings)
    with _signals_interrupt():
        while supervisor.alive():
            time.sleep(_WATCH_SECONDS)


def _bring_up(
    settings: Settings, supervisor: Supervisor, *, progress: Progress | None, seconds: float
) -> list[ProcessStatus]:
    from millrace.kafka.broker import prepare_broker

    # a supervisor that was killed leaves its programs behind
    end_all(settings.home)
    check_ports(_programs(settings))
    _migrate(settings)
    broker = None
    if settings.mode == "LOCAL_SIM":
        if progress is not None:
            # the first one fetches it and lays out its classes
            progress("broker", "preparing")
        broker = prepare_broker(settings)
    found = programs(settings, broker=broker)
    install_dagster_home(settings)
    for folder in (settings.logs, settings.home / "mlflow"):
        folder.mkdir(parents=True, exist_ok=True)
    supervisor.launch(found, environment=child_environment(settings))
    return _complete(settings, supervisor, progress=progress, seconds=seconds)


def _complete(
    settings: Settings, supervisor: Supervisor, *, progress: Progress | None, seconds: float
) -> list[ProcessStatus]:
    found = _programs(settings)
    first, second, third = ([program for program in found if program.phase == phase] for phase in (1, 2, 3))
    deadline = time.monotonic() + seconds
    with ThreadPoolExecutor(max_workers=1) as pool:
        storage = pool.submit(create_storage, settings, child_environment(settings))
        _start(supervisor, first, progress)
        storage.result()
    # the preloaded process takes longest of all
    _start(supervisor, second, progress)
    # the others' look-ups need these
    needed = [program for program in first if program.name in ("broker", "code-server")]
    wait_until_ready(supervisor, needed, seconds=deadline - time.monotonic(), progress=progress)
    _create_topics(settings)
    rest = [program for program in found if program not in needed]
    _start(supervisor, third, progress)
    wait_until_ready(supervisor, rest, seconds=deadline - time.monotonic(), progress=progress)
    return statuses(supervisor, found)


def _start(supervisor: Supervisor, found: Sequence[Program], progress: Progress | None) -> None:
    there = {one.name for one in supervisor.processes() if one.pid is not None}
    for program in found:
        if program.name not in there:
            supervisor.start(program.name)
            if progress is not None:
                progress(program.name, "starting")


def _programs(settings: Settings) -> list[Program]:
    return programs(settings, broker=[] if settings.mode == "LOCAL_SIM" else None)


def _migrate(settings: Settings) -> None:
    from millrace.warehouse.store import open_warehouse

    open_warehouse(settings, migrate=True).engine.dispose()


def _create_topics(settings: Settings) -> None:
    from millrace.kafka.broker import broker_answers
    from millrace.kafka.clients import admin_config
    from millrace.kafka.topics import create_topics

    # an absent cluster delays events and stops nothing; the conductor creates the topics once it answers
    if settings.mode == "LOCAL_SIM" or broker_answers(admin_config(settings)):
        create_topics(settings)


def _until(condition: Callable[[], bool], *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if condition():
                return True
        except CannotReach:
            return True
        time.sleep(0.05)
    return False


@contextmanager
def _one_at_a_time(settings: Settings) -> Iterator[None]:
    with (settings.home / "up.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CannotReach(
                "another `millrace up` is starting this home",
                field="MILLRACE_HOME",
                remedy="wait, then `millrace status`",
            ) from error
        yield


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP do what Ctrl-C does, where this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
