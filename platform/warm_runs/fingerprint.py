"""What a code location's behaviour depends on, as file stamps: a preloaded process is stale once one changes."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

Stamp = tuple[int, int, int]
Fingerprint = dict[str, Stamp | None]

_WATCHED = (".py", ".yaml", ".yml", ".toml", ".sql", ".csv", ".cfg", ".ini")
_WATCHED_NAMES = ("manifest.json", ".env")
_LEFT_OUT = frozenset({"__pycache__", "node_modules", "tests", "docs", "logs"})
_LARGEST_WALK = 20_000
"""Files that a walk looks at before it stops: a working directory of "/" must not cost minutes."""


def take(folder: Path, modules: Iterable[object] = ()) -> Fingerprint:
    """Stamps of the watched files under the folder and of the modules' files outside the Python installation."""
    files = {*_walk(folder), *_module_files(modules)}
    return {name: _stamp(name) for name in files}


def changed(before: Fingerprint, folder: Path) -> str | None:
    """The first file that changed, vanished, or is new under the folder; None when all is as it was."""
    for name, stamp in before.items():
        if _stamp(name) != stamp:
            return name
    return next((name for name in _walk(folder) if name not in before), None)


def _walk(folder: Path) -> Iterable[str]:
    seen = 0
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _LEFT_OUT]
        # a virtual environment inside the folder is the installation, not the project
        folders[:] = [name for name in folders if not os.path.exists(os.path.join(root, name, "pyvenv.cfg"))]
        for name in names:
            seen += 1
            if name.endswith(_WATCHED) or name in _WATCHED_NAMES:
                yield os.path.join(root, name)
        if seen > _LARGEST_WALK:
            return


def _module_files(modules: Iterable[object]) -> Iterable[str]:
    installation = (sys.prefix, sys.base_prefix, os.path.dirname(os.__file__))
    for module in modules:
        name = getattr(module, "__file__", None)
        if isinstance(name, str) and not name.startswith(installation):
            yield name


def _stamp(name: str) -> Stamp | None:
    try:
        status = os.stat(name)
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino)
