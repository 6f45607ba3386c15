"""The preloaded process: loads one code location once, then forks a child for each run.

It stays single-threaded, because a fork copies only the calling thread and leaves the locks of the others locked for
ever. It talks JSON lines over the socket whose file descriptor is its only argument: first it gets `{origin, instance}`
and answers `{ready, error, threads, rss_kb, fingerprint}`; then each `{run_id, instance, ledger}` is answered with
`{forked, pid}` or `{refused, reason}`, and each child's end is told as `{exit, status}`. When the pool goes away it
waits for its children and ends.
"""

import gc
import json
import os
import random
import select
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from warm_runs import fingerprint
from warm_runs.ledger import Ledger
from warm_runs.processes import identify

_EXIT_INTERNAL = 70
EXIT_NOT_CLAIMED = 71
"""Another process executes the run already, or its end was asked for before it began."""


def main(descriptor: int) -> None:
    """Serves the pool on the socket until it closes and no child is left."""
    channel = socket.socket(fileno=descriptor)
    hello, rest = _first_line(channel)
    began = time.monotonic()
    folder = Path(hello["folder"])
    # before the load: a write during it makes the process stale, not wrong
    stamps = fingerprint.take(folder)
    error = _preload(hello["origin"], hello["instance"])
    stamps = {**fingerprint.take(folder, list(sys.modules.values())), **stamps}
    gc.collect()
    # collections in the children then leave the shared pages alone
    gc.freeze()
    ready = {
        "ready": True,
        "error": error,
        "threads": _threads(),
        "rss_kb": _resident_kb(),
        "seconds": time.monotonic() - began,
        "fingerprint": stamps,
    }
    _send(channel, ready)
    _serve(channel, rest)


def _preload(origin_text: str, instance_text: str) -> str | None:
    from dagster import DagsterInstance, in_process_executor, job, op
    from dagster._core.instance.ref import InstanceRef
    from dagster._core.origin import JobPythonOrigin
    from dagster._serdes import deserialize_value
    from dagster._utils.hosted_user_process import recon_job_from_origin

    try:
        recon_job_from_origin(deserialize_value(origin_text, JobPythonOrigin)).get_definition()
    except Exception:  # noqa: BLE001
        # kept, not raised: the child of each run loads again and reports the cause where its user looks
        return traceback.format_exc()

    # what a run imports on its way is imported by running one
    @op
    def nothing() -> None:
        return None

    @job(executor_def=in_process_executor)
    def warm() -> None:
        nothing()

    import logging

    logging.disable(logging.CRITICAL)
    with DagsterInstance.ephemeral() as instance:
        warm.execute_in_process(instance=instance)
    logging.disable(logging.NOTSET)
    # the storage dialects too; closed again, so that no connection crosses a fork
    with DagsterInstance.from_ref(deserialize_value(instance_text, InstanceRef)) as instance:
        instance.get_run_records(limit=1)
    return None


def _serve(channel: socket.socket, pending: bytes) -> None:
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    children: set[int] = set()
    connected = True
    while connected or children:
        ready, _, _ = select.select([woken, channel] if connected else [woken], [], [])
        if woken in ready:
            _drain(woken)
        connected = _reap(children, channel, connected)
        if connected and channel in ready:
            data = channel.recv(65536)
            connected = bool(data)
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                _launch(json.loads(line), channel, children, (woken, wake))


def _reap(children: set[int], channel: socket.socket, connected: bool) -> bool:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            break
        children.discard(pid)
        if connected:
            try:
                _send(channel, {"exit": pid, "status": status})
            except OSError:
                connected = False
    return connected


def _launch(message: dict[str, Any], channel: socket.socket, children: set[int], pipes: tuple[int, int]) -> None:
    threads = _threads()
    if threads != 1:
        _send(channel, {"refused": message["run_id"], "reason": f"{threads} threads: a fork would not be safe"})
        return
    pid = os.fork()
    if pid == 0:
        status = _EXIT_INTERNAL
        try:
            _become_child(channel, pipes)
            status = _run(message)
        except BaseException:  # noqa: BLE001
            # the last frame of the process: told in the log, and by the exit status to the pool
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    children.add(pid)
    _send(channel, {"forked": message["run_id"], "pid": pid})


def _become_child(channel: socket.socket, pipes: tuple[int, int]) -> None:
    signal.set_wakeup_fd(-1)
    for descriptor in pipes:
        os.close(descriptor)
    channel.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # its own group: a signal to the pool's group does not end runs, and a run's children can be ended with it
    os.setsid()
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()


def _run(message: dict[str, Any]) -> int:
    from dagster._cli.api import _execute_run_command_body
    from dagster._cli.utils import get_instance_for_cli
    from dagster._core.instance.ref import InstanceRef
    from dagster._serdes import deserialize_value
    from dagster._utils.error import serializable_error_info_from_exc_info
    from dagster._utils.interrupts import capture_interrupts

    own = identify(os.getpid())
    if own is None or not Ledger(Path(message["ledger"])).claim(message["run_id"], own):
        return EXIT_NOT_CLAIMED
    reference = deserialize_value(message["instance"], InstanceRef)
    with capture_interrupts(), get_instance_for_cli(instance_ref=reference) as instance:
        try:
            return _execute_run_command_body(
                message["run_id"], instance, lambda event: None, set_exit_code_on_failure=True
            )
        except Exception:  # noqa: BLE001
            # loading the location failed: nothing of the run has been reported yet
            run = instance.get_run_by_id(message["run_id"])
            if run is not None and not run.is_finished:
                from dagster._core.events import EngineEventData

                cause = serializable_error_info_from_exc_info(sys.exc_info())
                instance.report_engine_event(
                    "The code location could not be loaded", run, EngineEventData.engine_error(cause)
                )
                instance.report_run_failed(run, f"The code location could not be loaded: {cause.message.strip()}")
            return 1


def _first_line(channel: socket.socket) -> tuple[dict[str, Any], bytes]:
    data = b""
    while b"\n" not in data:
        more = channel.recv(65536)
        if not more:
            raise SystemExit("the pool closed the connection before it said what to load")
        data += more
    line, rest = data.split(b"\n", 1)
    return json.loads(line), rest


def _send(channel: socket.socket, message: dict[str, Any]) -> None:
    channel.sendall((json.dumps(message) + "\n").encode())


def _drain(descriptor: int) -> None:
    try:
        os.read(descriptor, 4096)
    except BlockingIOError:
        return


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


def _resident_kb() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError("/proc/self/status has no VmRSS")


if __name__ == "__main__":
    main(int(sys.argv[1]))
