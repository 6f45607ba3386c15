"""What a step prints, shown where the run's process prints.

While a step captures its output in files, Dagster starts a `tail` for each of its two streams, and for each of these a
Python process that watches over it: together they cost more than a short run. Here a thread does it.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from dagster._core.execution import compute_logs

from warm_runs.replacing import replace

LOOK_SECONDS = 0.5
"""Between looks at the file."""
LAST_SECONDS = 5.0
"""Longest wait at the end for a reader that does not take what is left: the file has it all."""
_CHUNK = 1 << 16


@contextmanager
def mirror(path: str, stream: IO[Any] | int) -> Iterator[tuple[None, None]]:
    """Copies what is written to the file to the stream as it is now, until the end of the block and all of it.

    Yields no pids where Dagster yields those of its processes.
    """
    descriptor: int | None = compute_logs._fileno(stream)  # type: ignore[no-untyped-call]
    ended = threading.Event()
    copier = threading.Thread(
        target=_copy, args=(path, os.dup(1 if descriptor is None else descriptor), ended), name="mirror", daemon=True
    )
    copier.start()
    try:
        yield None, None
    finally:
        ended.set()
        copier.join(LAST_SECONDS)


def install() -> None:
    """From here on runs of this process, and of those forked from it, are mirrored by a thread."""
    replace(compute_logs, "execute_posix_tail", mirror)


def _copy(path: str, descriptor: int, ended: threading.Event) -> None:
    with open(path, "rb") as source, os.fdopen(descriptor, "wb", buffering=0) as sink:
        last = False
        while not last:
            # asked before the look: what is written until then is seen by it
            last = ended.wait(LOOK_SECONDS)
            while chunk := source.read(_CHUNK):
                try:
                    while chunk:
                        chunk = chunk[sink.write(chunk) :]
                except BrokenPipeError:
                    # nobody reads any more, as after the pool's death; the file has it
                    return
