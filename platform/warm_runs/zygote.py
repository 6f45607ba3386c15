"""The preloaded process: loads one code location once, then forks a child for each run.

It stays single-threaded, because a fork copies only the calling thread and leaves the locks of the others locked for
ever. It talks JSON lines over the socket whose file descriptor is its only argument: first it gets
`{origin, instance, folder, bare, more}` and answers `{ready, error, more, threads, rss_kb, fingerprint}`; then each
`{run_id, instance, ledger}` is answered with `{forked, pid}` or `{refused, reason}`, and each child's end is told as
`{exit, status}`. When the pool goes away, or wants no more runs, it waits for its children and ends.
"""

import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from warm_runs import child, fingerprint
from warm_runs.wire import read_line

_PR_SET_PDEATHSIG = 1
_THREAD_SECONDS = 1.0
"""Longest wait for threads of the load to end."""


def main(descriptor: int) -> None:
    """Serves the pool on the socket until it closes and no child is left."""
    channel = socket.socket(fileno=descriptor)
    # an import that hangs would outlive a pool that is killed: nobody reads the channel meanwhile
    _end_with_parent(signal.SIGKILL)
    line, rest = read_line(channel)
    hello = json.loads(line)
    began = time.monotonic()
    folder = Path(hello["folder"])
    # before the load: a write during it makes the process stale, not wrong
    before = fingerprint.take(folder)
    error, more = _preload(hello["origin"], hello["instance"], bare=hello["bare"], more=hello["more"])
    after = fingerprint.take(folder, list(sys.modules.values()))
    stamps = fingerprint.Fingerprint({**after.stamps, **before.stamps}, before.complete)
    gc.collect()
    # collections in the children then leave the shared pages alone
    gc.freeze()
    ready = {
        "ready": True,
        "error": error,
        "more": more,
        "threads": _lasting_threads(),
        "rss_kb": _resident_kb(),
        "seconds": time.monotonic() - began,
        "fingerprint": stamps.to_json(),
    }
    # from here on its children outlive the pool, and it them
    _end_with_parent(0)
    _send(channel, ready)
    _serve(channel, rest)


def _end_with_parent(number: int) -> None:
    # the system sends it when the thread that started this process ends, which waits until this process is ready
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")


def _preload(origin_text: str, instance_text: str, *, bare: bool, more: bool) -> tuple[str | None, int]:
    """What broke the load, and how many further modules the location names and were tried."""
    from dagster import DagsterInstance
    from dagster._core.instance.ref import InstanceRef
    from dagster._core.origin import JobPythonOrigin
    from dagster._core.secrets.env_file import get_env_var_dict
    from dagster._serdes import deserialize_value
    from dagster._utils.hosted_user_process import recon_repository_from_origin

    from warm_runs import mirror

    # as Dagster does before it loads the code: the variables of the folder's .env file, and the instance's own
    os.environ.update(get_env_var_dict(os.getcwd()))
    # the storage dialects too; closed again, so that no connection crosses a fork
    with DagsterInstance.from_ref(deserialize_value(instance_text, InstanceRef)) as instance:
        instance.get_run_records(limit=1)
        instance.inject_env_vars(None)
    mirror.install()
    named = 0
    if not bare:
        origin = deserialize_value(origin_text, JobPythonOrigin)
        try:
            repository = recon_repository_from_origin(origin.repository_origin).get_definition()
            repository.get_job(origin.job_name or repository.job_names[0])
        except Exception:  # noqa: BLE001
            # kept, not raised: the child of each run loads again and reports the cause where its user looks
            return traceback.format_exc(), 0
        named = _import_more(origin.repository_origin.code_pointer) if more else 0

    from warm_runs.rehearsal import rehearse

    rehearse()
    return None, named


def _import_more(pointer: Any) -> int:
    location = sys.modules.get(getattr(pointer, "module", ""))
    names = tuple(getattr(location, "WARM_RUNS_PRELOAD", ()))
    for name in names:
        try:
            importlib.import_module(name)
        except Exception:  # noqa: BLE001
            # told in the pool's log; a run that needs the module imports it itself and fails with the cause
            traceback.print_exc()
    orm = sys.modules.get("sqlalchemy.orm")
    if orm is not None:
        # left to the first use by SQLAlchemy
        orm.configure_mappers()
    return len(names)


def _serve(channel: socket.socket, pending: bytes) -> None:
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    children: set[int] = set()
    listening = True
    while listening or children:
        ready, _, _ = select.select([woken, channel] if listening else [woken], [], [])
        if woken in ready:
            _drain(woken)
        _reap(children, channel)
        if listening and channel in ready:
            data = _receive(channel)
            # the end of requests, not of the channel: the ends of the children that are left are told all the same
            listening = bool(data)
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                _launch(json.loads(line), channel, children, (woken, wake))


def _receive(channel: socket.socket) -> bytes:
    try:
        return channel.recv(65536)
    except ConnectionResetError:
        # the pool was killed before it had read everything
        return b""


def _reap(children: set[int], channel: socket.socket) -> None:
    while children:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return
        if ended.si_code != os.CLD_EXITED:
            # a killed run leaves its steps' processes behind. Not yet waited for, its pid is nobody else's group
            _kill_group(ended.si_pid)
        pid, status = os.waitpid(ended.si_pid, 0)
        children.discard(pid)
        _send(channel, {"exit": pid, "status": status})


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        # it was killed before it led a group of its own
        return


def _launch(message: dict[str, Any], channel: socket.socket, children: set[int], pipes: tuple[int, int]) -> None:
    threads = _threads()
    if threads != 1:
        _send(channel, {"refused": message["run_id"], "reason": f"{threads} threads: a fork would not be safe"})
        return
    # an interrupt that comes before the child listens waits for it instead of being lost
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    pid = os.fork()
    if pid == 0:
        child.live(message, inherited=(channel.fileno(), *pipes))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    children.add(pid)
    _send(channel, {"forked": message["run_id"], "pid": pid})


def _send(channel: socket.socket, message: dict[str, Any]) -> None:
    try:
        channel.sendall((json.dumps(message) + "\n").encode())
    except OSError:
        # the pool is gone; the next one learns of the ends by itself
        return


def _drain(descriptor: int) -> None:
    try:
        os.read(descriptor, 4096)
    except BlockingIOError:
        return


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


def _lasting_threads() -> int:
    # one that has ended a moment ago may still be there
    deadline = time.monotonic() + _THREAD_SECONDS
    while (threads := _threads()) > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    return threads


def _resident_kb() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError("/proc/self/status has no VmRSS")


if __name__ == "__main__":
    main(int(sys.argv[1]))
