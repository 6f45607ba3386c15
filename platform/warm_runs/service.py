"""The pool as a process: `python -m warm_runs.service --socket PATH`."""

import argparse
import fcntl
import json
import logging
import os
import signal
import socketserver
import sys
import threading
from pathlib import Path
from typing import Any

from warm_runs.ledger import Ledger
from warm_runs.origins import module_origin
from warm_runs.pool import Pool, PoolSettings
from warm_runs.wire import SOCKET_NAME, reachable

_LOG = logging.getLogger("warm_runs")

EXIT_THREAD_FAILED = 70
REQUEST_TIMEOUT_S = 10.0
"""Longest wait for a request after its connection was made; it comes in one piece with it."""


def main(arguments: list[str] | None = None) -> int:
    """Serves until SIGTERM or SIGINT; 0 then, 1 when another pool holds the socket."""
    options = _parser().parse_args(arguments)
    _LOG.setLevel(logging.INFO)
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr
    )
    path: Path = options.socket or Path(os.environ["DAGSTER_HOME"]) / SOCKET_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _LOG.error("another pool serves %s", path)
        return 1
    settings = PoolSettings(options.max_children, options.grace, options.max_preloaded)
    pool = Pool(Ledger(path.with_suffix(".db")), settings)
    # a pool without one of its threads answers and does nothing: it ends instead, and its successor takes over
    threading.excepthook = _end
    path.unlink(missing_ok=True)
    # the socket executes code for whoever may write to it: its owner only, from its first moment
    before = os.umask(0o177)
    try:
        with reachable(path) as address:
            server = _Server(address, _Handler)
    finally:
        os.umask(before)
    server.pool = pool
    pool.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown, daemon=True).start())
    if options.code:
        pool.warm(*module_origin(*options.code))
    _LOG.info("serving socket=%s max_children=%d", path, options.max_children)
    server.serve_forever(poll_interval=0.2)
    pool.close()
    path.unlink(missing_ok=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="warm_runs", description="Keeps Dagster code loaded and forks runs from it.")
    parser.add_argument(
        "--socket",
        type=Path,
        help=f"Unix socket to serve, its ledger beside it (default {SOCKET_NAME} in DAGSTER_HOME)",
    )
    parser.add_argument("--max-children", type=int, default=10, help="runs that execute at once (default 10)")
    parser.add_argument("--grace", type=float, default=15.0, help="seconds from interrupt to kill (default 15)")
    parser.add_argument(
        "--max-preloaded", type=int, default=4, help="code locations that are kept loaded (default 4), the last used"
    )
    parser.add_argument(
        "--code",
        type=_code,
        metavar="MODULE:NAME",
        help="definitions to load at start: the first run is fast too",
    )
    return parser


def _code(text: str) -> tuple[str, str]:
    module, separator, name = text.partition(":")
    if not (module and separator and name):
        raise argparse.ArgumentTypeError(f"{text!r} is not MODULE:NAME, such as definitions:defs")
    return module, name


def _end(failed: threading.ExceptHookArgs) -> None:
    cause = (failed.exc_type, failed.exc_value or failed.exc_type(), failed.exc_traceback)
    _LOG.critical("ended because a thread failed", exc_info=cause)
    os._exit(EXIT_THREAD_FAILED)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128
    pool: Pool


class _Handler(socketserver.StreamRequestHandler):
    timeout = REQUEST_TIMEOUT_S

    def handle(self) -> None:
        line = self.rfile.readline()
        if line:
            self.wfile.write((json.dumps(self._answer(json.loads(line))) + "\n").encode())

    def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
        assert isinstance(self.server, _Server)
        pool = self.server.pool
        match message:
            case {"op": "launch", "run_id": str(run_id)}:
                return pool.launch(run_id)
            case {"op": "terminate", "run_id": str(run_id)}:
                return pool.terminate(run_id)
            case {"op": "status"}:
                return pool.status()
        return {"ok": False, "error": f"unknown message {sorted(message)}"}


if __name__ == "__main__":
    sys.exit(main())
