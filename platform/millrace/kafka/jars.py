"""The broker's jars: fetched once by Maven or Ivy, kept in a cache that homes share, checked on every use."""

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from millrace.contracts.errors import CannotReach, IntegrityBroken
from millrace.kafka.fetch import VERSION, fetch
from millrace.settings import Settings

MANIFEST = "manifest.json"
_hashed: set[Path] = set()
"""Folders whose hashes this process has compared; sizes are compared every time."""


@dataclass(frozen=True)
class Jars:
    """A folder of verified jars."""

    folder: Path
    names: tuple[str, ...]

    @property
    def class_path(self) -> str:
        """What Java takes as `-cp`."""
        return str(self.folder / "*")


def cache_folder(settings: Settings) -> Path:
    """The folder that keeps what is fetched: MILLRACE_CACHE, else `millrace` in the user's cache folder."""
    if settings.cache is not None:
        return settings.cache
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "millrace"


def broker_jars(settings: Settings) -> Jars:
    """The broker's jars, fetched on the first use; processes that ask at once wait for one of them to fetch.

    Raises:
        CannotReach: they are not in the cache and cannot be fetched.
        IntegrityBroken: a jar in the cache is not what was fetched.
    """
    cache = cache_folder(settings)
    folder = cache / f"kafka-{VERSION}"
    if not (folder / MANIFEST).exists():
        cache.mkdir(parents=True, exist_ok=True)
        with locked(cache / f"kafka-{VERSION}.lock"):
            if not (folder / MANIFEST).exists():
                _build(folder)
    return verify(folder, hashes=folder not in _hashed)


def verify(folder: Path, *, hashes: bool) -> Jars:
    """The jars of the folder, compared with its manifest: sizes always, SHA-256 when `hashes`.

    Raises:
        IntegrityBroken: a jar is missing, strange or changed.
    """
    manifest: dict[str, dict[str, str | int]] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    there = {path.name for path in folder.glob("*.jar")}
    wrong = sorted(there ^ manifest.keys())
    for name in sorted(there & manifest.keys()):
        path = folder / name
        if path.stat().st_size != manifest[name]["size"] or (hashes and sha256_of(path) != manifest[name]["sha256"]):
            wrong.append(name)
    if wrong:
        raise IntegrityBroken(
            f"the broker's jars in {folder} are not what was fetched: {', '.join(wrong[:5])}",
            field="MILLRACE_CACHE",
            remedy=f"delete {folder}; it is fetched again on the next start",
        )
    if hashes:
        _hashed.add(folder)
    return Jars(folder, tuple(sorted(there)))


def _build(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.") as work:
        made = Path(work) / "jars"
        made.mkdir()
        fetch(made, work=Path(work))
        manifest = {
            path.name: {"size": path.stat().st_size, "sha256": sha256_of(path)} for path in sorted(made.glob("*.jar"))
        }
        if not any(name.startswith("kafka_2.13-") for name in manifest):
            raise CannotReach("the fetched jars do not hold the broker", remedy="run `millrace doctor`")
        (made / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        made.rename(folder)


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock that this file is, against other processes and threads."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
