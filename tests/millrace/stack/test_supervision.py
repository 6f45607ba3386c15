import os
import signal
import stat
import time

import psutil
import pytest

from millrace.contracts.errors import CannotReach
from millrace.stack.leftovers import living
from millrace.stack.programs import Port
from millrace.stack.readiness import wait_until_ready
from millrace.stack.report import statuses
from millrace.stack.supervision import Supervisor
from millrace.stack.up import start, status, stop

FOREVER = "import time\nwhile True: time.sleep(1)"
DEAF = f"import signal\nfor one in (signal.SIGTERM, signal.SIGINT): signal.signal(one, signal.SIG_IGN)\n{FOREVER}"


def test_a_program_that_is_killed_is_started_again_and_the_status_says_so(supervise, make_program, wait_for):
    program = make_program("steady", FOREVER)
    _, supervisor = supervise(program)
    wait_for(lambda: statuses(supervisor, [program])[0].running)
    (before,) = statuses(supervisor, [program])
    assert (before.restarts, before.last_exit) == (0, None)
    assert before.memory_bytes > 1_000_000
    os.kill(before.pid, signal.SIGKILL)
    wait_for(lambda: statuses(supervisor, [program])[0].pid not in (None, before.pid))
    wait_for(lambda: statuses(supervisor, [program])[0].running)
    (after,) = statuses(supervisor, [program])
    assert after.restarts == 1
    assert "SIGKILL" in after.last_exit


def test_a_program_that_cannot_live_is_tried_with_growing_pauses_and_its_last_words_are_given(supervise, make_program):
    program = make_program("broken", "import sys; print('the table is missing', file=sys.stderr); sys.exit(3)")
    _, supervisor = supervise(program)
    began = time.monotonic()
    with pytest.raises(CannotReach, match="the table is missing") as caught:
        wait_until_ready(supervisor, [program], seconds=60)
    assert str(supervisor.places.log_of("broken")) in caught.value.remedy
    (seen,) = statuses(supervisor, [program])
    assert (seen.state, seen.running) == ("restarting", False)
    assert "exit status 3" in seen.last_exit
    # the third end comes after pauses of one and two seconds
    assert time.monotonic() - began > 2


def test_readiness_is_told_as_it_comes(supervise, make_program, make_settings, tmp_path):
    port = make_settings(tmp_path).api_port
    serve = f"import socket, time\ns = socket.create_server(('127.0.0.1', {port}))\ntime.sleep(600)"
    program = make_program("server", serve, ports=(Port(port, "MILLRACE_API_PORT"),))
    _, supervisor = supervise(program)
    told = []
    wait_until_ready(supervisor, [program], seconds=30, progress=lambda name, what: told.append((name, what)))
    assert told == [("server", "ready")]


def test_stopping_leaves_no_process_not_even_deaf_grandchildren_in_other_groups(supervise, make_program, wait_for):
    family = f"""
import subprocess, sys, time
deaf = {DEAF!r}
subprocess.Popen([sys.executable, "-S", "-c", deaf])
subprocess.Popen([sys.executable, "-S", "-c", deaf], start_new_session=True)
while True: time.sleep(1)
"""
    settings, _ = supervise(make_program("family", family, stop_seconds=1), make_program("deaf", DEAF, stop_seconds=1))
    # supervisord, two programs, two grandchildren
    wait_for(lambda: len(living(settings.home)) == 5)
    time.sleep(0.5)
    began = time.monotonic()
    assert stop(settings) is True
    assert time.monotonic() - began < 20
    assert living(settings.home) == []
    assert stop(settings) is False


def test_what_a_killed_supervisor_left_behind_is_ended_too(supervise, make_program, wait_for):
    settings, supervisor = supervise(make_program("orphan", FOREVER))
    wait_for(lambda: len(living(settings.home)) == 2)
    pid = int(supervisor.places.pid_file.read_text())
    psutil.Process(pid).kill()
    wait_for(lambda: not supervisor.alive())
    assert status(settings) == []
    assert len(living(settings.home)) == 1
    stop(settings)
    assert living(settings.home) == []


def test_two_homes_do_not_touch_each_other(supervise, make_program, wait_for):
    first, _ = supervise(make_program("same", FOREVER), folder="one")
    second, supervisor = supervise(make_program("same", FOREVER), folder="two")
    wait_for(lambda: len(living(first.home)) == 2 and len(living(second.home)) == 2)
    stop(first)
    assert len(living(second.home)) == 2
    assert supervisor.processes()[0].pid is not None


def test_only_the_owner_may_speak_to_the_supervisor(supervise, make_program):
    settings, supervisor = supervise(make_program("one", FOREVER))
    assert stat.S_IMODE(supervisor.places.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(settings.logs.stat().st_mode) & 0o077 == 0


def test_a_home_whose_path_is_too_long_for_a_socket_works(supervise, make_program, wait_for):
    settings, supervisor = supervise(make_program("one", FOREVER), folder="a 100% long path " + "x" * 120)
    wait_for(lambda: len(living(settings.home)) == 2)
    assert supervisor.alive()


def test_without_a_supervisor_nothing_is_up(make_settings, tmp_path):
    settings = make_settings(tmp_path)
    assert status(settings) == []
    assert stop(settings) is False
    with pytest.raises(CannotReach, match="not up"):
        Supervisor(settings).processes()


def test_two_starts_at_once_are_refused(make_settings, tmp_path):
    import fcntl

    settings = make_settings(tmp_path)
    settings.home.mkdir(parents=True)
    with (settings.home / "up.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(CannotReach, match="another"):
            start(settings)
