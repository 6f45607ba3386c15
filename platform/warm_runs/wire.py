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
    """Nobody answers on the pool's socket, or the pool does not do what it is asked."""


def ask(path: Path, message: dict[str, Any], *, timeout_s: float) -> dict[str, Any]:
    """The pool's answer to one message.

    Raises:
        PoolUnreachable: no socket, nobody listening, no answer in time, an answer that is not JSON, or a refusal.
    """
    try:
        with reachable(path) as address, socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout_s)
            connection.connect(address)
            connection.sendall((json.dumps(message) + "\n").encode())
            line, _ = read_line(connection)
        answer: dict[str, Any] = json.loads(line)
    except (OSError, json.JSONDecodeError) as error:
        raise PoolUnreachable(f"{path}: {error}") from error
    if not answer.get("ok"):
        raise PoolUnreachable(f"{path}: {answer.get('error', 'refused')}")
    return answer


def read_line(connection: socket.socket, data: bytes = b"", *, timeout_s: float | None = None) -> tuple[bytes, bytes]:
    """The next line and what came after it; `data` is what came after the line before.

    Raises:
        OSError: the connection was closed before the line's end, or `timeout_s` passed without a byte.
    """
    if timeout_s is not None:
        connection.settimeout(timeout_s)
    parts = [data]
    while b"\n" not in parts[-1]:
        more = connection.recv(65536)
        if not more:
            raise ConnectionResetError("the connection closed before an answer")
        parts.append(more)
    line, rest = b"".join(parts).split(b"\n", 1)
    return line, rest


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """An address of the socket that is short enough for the system whatever the path (its limit is 107 bytes)."""
    folder = os.open(path.parent, os.O_PATH | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
