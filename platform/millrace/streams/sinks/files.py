"""Files that are there whole or not at all, and a lock for who writes them."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from millrace.contracts.errors import Conflict


def write_whole(path: Path, data: bytes) -> None:
    """The file has this content, on the disk; whoever reads meanwhile sees the old or the new."""
    draft = path.with_name(f".{path.name}.tmp")
    with draft.open("wb") as target:
        target.write(data)
        target.flush()
        os.fsync(target.fileno())
    os.replace(draft, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Names that were made in the folder stay after a crash of the machine."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Holds the lock file while the block runs; the operating system frees it when the process dies.

    Raises:
        Conflict: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(
                f"another process writes where {path} lies",
                field="path",
                remedy="end that one, or give this one a place of its own",
            ) from error
        yield
    finally:
        os.close(descriptor)
