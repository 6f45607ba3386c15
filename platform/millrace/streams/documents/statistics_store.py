"""Windows of statistics in files: one per window and process, replaced as it grows, added up when read."""

import json
import logging
import os
import time
import uuid
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from millrace.contracts.canonical import sha256_json
from millrace.contracts.documents import LlmResult
from millrace.contracts.errors import IntegrityBroken
from millrace.settings import Settings
from millrace.streams.documents.statistics import WINDOW_SECONDS, WindowKey, WindowStatistics, window_of

_WRITE_EVERY_SECONDS = 1.0
"""What a crash may lose of a window's counts."""

_log = logging.getLogger(__name__)


def statistics_folder(settings: Settings) -> Path:
    """Where the windows are kept."""
    return settings.home / "llm" / "statistics"


class StatisticsStore:
    """Takes results whose transaction is committed. One process's; nothing else writes its files."""

    def __init__(self, folder: Path, *, seconds: int = WINDOW_SECONDS) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._seconds = seconds
        self._process = uuid.uuid4().hex[:12]
        self._windows: dict[WindowKey, WindowStatistics] = {}
        self._changed: set[WindowKey] = set()
        self._written = 0.0

    def add(self, results: Iterable[LlmResult]) -> None:
        """The results more; files are written at most once a second."""
        for result in results:
            key = window_of(result, seconds=self._seconds)
            self._windows.setdefault(key, WindowStatistics()).add(result)
            self._changed.add(key)
        if time.monotonic() - self._written >= _WRITE_EVERY_SECONDS:
            self.write()

    def write(self) -> None:
        """Writes what changed, and forgets windows that are over. A disk that is full is told and tried again."""
        self._written = time.monotonic()
        try:
            for key in sorted(self._changed):
                self._write(key, self._windows[key])
                self._changed.discard(key)
        except OSError as error:
            _log.warning("llm.statistics_not_written folder=%s error=%s", self._folder, error.strerror)
            return
        newest = max((key.start for key in self._windows), default=0)
        # a late result may still fall into the window before
        self._windows = {key: one for key, one in self._windows.items() if key.start >= newest - self._seconds}

    def _write(self, key: WindowKey, window: WindowStatistics) -> None:
        stem = f"{key.start}-{sha256_json(asdict(key))[:12]}-{self._process}"
        draft = self._folder / f"{stem}.tmp"
        draft.write_text(json.dumps({"format": 1, **asdict(key), "statistics": window.to_json()}) + "\n")
        os.replace(draft, self._folder / f"{stem}.json")


def read_windows(folder: Path, *, since: float = 0.0) -> dict[WindowKey, WindowStatistics]:
    """The windows that begin at `since` (seconds since 1970) or later, of all processes together, in their order.

    Raises:
        IntegrityBroken: a file is not what the store writes.
    """
    found: dict[WindowKey, WindowStatistics] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            told = json.loads(path.read_bytes())
            key = WindowKey(
                int(told["start"]), int(told["seconds"]), str(told["model"]), str(told["parameters_sha256"])
            )
            if key.start >= since:
                found.setdefault(key, WindowStatistics()).merge(WindowStatistics.from_json(told["statistics"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise IntegrityBroken(
                f"{path} holds no statistics: {error}", field="statistics", remedy="remove it, or restore it"
            ) from error
    return dict(sorted(found.items()))
