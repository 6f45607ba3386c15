"""What a code location's behaviour depends on, as file stamps: a preloaded process is stale once one changes."""

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

Stamp = tuple[int, int, int]

LARGEST_WALK = 20_000
"""Files that a walk looks at before it stops: a working directory of "/" must not cost minutes."""
_WATCHED = (".py", ".yaml", ".yml", ".toml", ".sql", ".csv", ".cfg", ".ini")
_WATCHED_NAMES = ("manifest.json", ".env")
_LEFT_OUT = frozenset({"__pycache__", "node_modules", "tests", "docs", "logs"})


@dataclass(frozen=True)
class Fingerprint:
    """Stamps by file name; None for a file that is not there. `complete` is false when the folder was too large."""

    stamps: dict[str, Stamp | None]
    complete: bool = True

    def changed(self, folder: Path) -> str | None:
        """The first file that changed, vanished, or is new under the folder; None when all is as it was."""
        for name, stamp in self.stamps.items():
            if _stamp(name) != stamp:
                return name
        if not self.complete:
            # which files a cut walk reaches may differ from walk to walk: a file is then not new for being unknown
            return None
        return next((name for name in _Walk(folder).files() if name not in self.stamps), None)

    def to_json(self) -> dict[str, Any]:
        """A value that `json` takes."""
        return {"stamps": self.stamps, "complete": self.complete}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """What `to_json` was made from."""
        stamps = {
            name: None if stamp is None else (stamp[0], stamp[1], stamp[2]) for name, stamp in value["stamps"].items()
        }
        return cls(stamps, value["complete"])


def take(folder: Path, modules: Iterable[object] = ()) -> Fingerprint:
    """Stamps of the watched files under the folder and of the modules' files outside the Python installation."""
    walk = _Walk(folder)
    files = {*walk.files(), *_module_files(modules)}
    return Fingerprint({name: _stamp(name) for name in files}, walk.complete)


class _Walk:
    def __init__(self, folder: Path) -> None:
        self.complete = True
        self._folder = folder

    def files(self) -> Iterable[str]:
        seen = 0
        for root, folders, names in os.walk(self._folder):
            folders[:] = [name for name in folders if not name.startswith(".") and name not in _LEFT_OUT]
            # a virtual environment inside the folder is the installation, not the project
            folders[:] = [name for name in folders if not os.path.exists(os.path.join(root, name, "pyvenv.cfg"))]
            for name in names:
                seen += 1
                if name.endswith(_WATCHED) or name in _WATCHED_NAMES:
                    yield os.path.join(root, name)
            if seen > LARGEST_WALK:
                self.complete = False
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
