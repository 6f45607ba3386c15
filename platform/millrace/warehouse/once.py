"""A lock between the processes of this machine, so that work which several runs need is done by one of them."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from millrace.contracts.canonical import sha256_json


@contextmanager
def once(folder: Path, key: Any) -> Iterator[None]:
    """Nobody else on this machine is in the block with the same key (any JSON value).

    The kernel frees the lock when the process ends, however it ends. Runs on different machines do not see each
    other's locks: both do the work, and both get the same result.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{sha256_json(key)}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
