"""One JSON line each way over a Unix socket."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SOCKET_NAME = "warm_runs.sock"
"""The pool's socket in DAGSTER_HOME, unless both sides are told another."""


class PoolUnreachable(Exception):
    """Nobody answers on the pool's socket."""


def ask(path: Path, message: dict[str, Any], *, timeout_s: float) -> dict[str, Any]:
    """The pool's answer to one message.

    Raises:
        PoolUnreachable: no socket, nobody listening, no answer in time, or an answer that is not JSON.
    """
    try:
        with reachable(path) as address, socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout_s)
            connection.connect(address)
            with connection.makefile("rw") as stream:
                stream.write(json.dumps(message) + "\n")
                stream.flush()
                line = stream.readline()
    except OSError as error:
        raise PoolUnreachable(f"{path}: {error}") from error
    if not line.endswith("\n"):
        raise PoolUnreachable(f"{path}: the connection closed before an answer")
    try:
        answer: dict[str, Any] = json.loads(line)
    except json.JSONDecodeError as error:
        raise PoolUnreachable(f"{path}: not an answer: {line[:80]!r}") from error
    return answer


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """An address of the socket that is short enough for the system whatever the path (its limit is 107 bytes)."""
    folder = os.open(path.parent, os.O_PATH | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
