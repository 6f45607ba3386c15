"""Room on the disk, looked at before it is used."""

import shutil
import time
from pathlib import Path
from typing import Final

from millrace.contracts.errors import InsufficientStorage

RESERVE_BYTES: Final = 128 << 20
"""Always left free: the databases and the broker on the same disk must be able to go on."""
STALE_SECONDS: Final = 86_400
"""Age at which work that a killed process left behind is removed; far above any upload."""


def require_room(folder: Path, need_bytes: int) -> None:
    """Returns when the folder's disk has room for that much and the reserve.

    Raises:
        InsufficientStorage: it has less; names what is needed and what is free.
    """
    free = shutil.disk_usage(folder).free
    if need_bytes + RESERVE_BYTES > free:
        raise InsufficientStorage(
            f"the upload needs {need_bytes:,} bytes and {RESERVE_BYTES:,} in reserve on the disk of {folder}, "
            f"and {free:,} are free",
            field="file",
            remedy="free some space there, or set MILLRACE_HOME to a larger disk, and upload again",
        )


def work_folder(home: Path) -> Path:
    """The folder for unfinished work under a home; what was left there a day ago is removed."""
    folder = home / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    horizon = time.time() - STALE_SECONDS
    for left in folder.iterdir():
        try:
            if left.stat().st_mtime >= horizon:
                continue
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink()
        except FileNotFoundError:
            # another process removed it at the same moment
            continue
    return folder
