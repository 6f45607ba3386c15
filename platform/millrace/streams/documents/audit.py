"""The audit trail as it is written: appended under a lock, flushed before results leave, its head anchored apart."""

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from millrace.contracts.canonical import sha256_bytes
from millrace.contracts.errors import InsufficientStorage, IntegrityBroken
from millrace.contracts.events import now
from millrace.settings import Settings
from millrace.streams.documents.audit_entries import Head, chained, read_line
from millrace.streams.documents.chat import Exchange

_SEAL_SECONDS = 1.0
"""Between two anchors: each takes two flushes of the disk. What a cut may take unseen, but for the results' heads."""
_LONGEST_LINE_BYTES = 64 << 10
"""An entry has about 500 bytes; `about` and `outcome` are ours and short."""


def trail_path(settings: Settings) -> Path:
    """The trail's file; its lock lies beside it."""
    return settings.home / "llm" / "audit.jsonl"


def anchor_path(settings: Settings) -> Path:
    """The file that holds the trail's head."""
    return settings.llm_anchor or settings.home / "anchors" / "llm-audit.json"


class AuditTrail:
    """Appends entries. Several processes may have the same trail open; a context manager that closes its files."""

    def __init__(self, trail: Path, anchor: Path) -> None:
        """Opens the trail, or begins it.

        Raises:
            IntegrityBroken: the trail does not hold the entry that its anchor names: nothing may be appended.
        """
        self._path, self._anchor = trail, anchor
        for folder in (trail.parent, anchor.parent):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(trail.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            if not trail.exists() and not anchor.exists():
                # before the first entry: a trail with entries and without an anchor was tampered with
                write_anchor(anchor, Head())
            self._file = os.open(trail, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            require_anchored(self._file, read_anchor(anchor), trail)
            self._head = self._anchored = Head()
            self._sealed_at = 0.0
            self._within = threading.Lock()
            self._catch_up()
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    @property
    def head(self) -> Head:
        """The last entry that this process has seen."""
        return self._head

    def add(self, exchange: Exchange) -> Head:
        """The head after an entry for the exchange; it survives this process, and after `seal` the machine.

        Raises:
            InsufficientStorage: it could not be written.
        """
        facts = {
            "about": exchange.about, "request": exchange.request_sha256, "response": exchange.response_sha256,
            "status": exchange.status, "outcome": exchange.outcome, "seconds": round(exchange.seconds, 6),
        }  # fmt: skip
        with self._locked():
            return self._append(facts)

    def flush(self) -> Head:
        """The head, when all entries up to it are on the disk.

        Raises:
            InsufficientStorage: the disk does not take it.
        """
        with self._locked():
            os.fsync(self._file)
            return self._head

    def seal(self) -> Head:
        """The head, when all entries up to it are on the disk and the anchor names it.

        Raises:
            InsufficientStorage: the disk does not take it.
        """
        with self._locked():
            os.fsync(self._file)
            if self._anchored != self._head:
                write_anchor(self._anchor, self._head)
                self._anchored = self._head
            return self._head

    def seal_now_and_then(self) -> None:
        """Seals when there is something to be sealed and the last time is a second ago; to be called often.

        Raises:
            InsufficientStorage: the disk does not take it.
        """
        if self._anchored != self._head and time.monotonic() - self._sealed_at >= _SEAL_SECONDS:
            self._sealed_at = time.monotonic()
            self.seal()

    def close(self) -> None:
        """Gives the files back."""
        os.close(self._file)
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # the file's lock is the process's: its threads need one of their own, which an interrupt must not leave locked
        with self._within:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            try:
                self._catch_up()
                yield
            except OSError as error:
                raise InsufficientStorage(
                    f"the audit trail {self._path} cannot be written: {error.strerror}",
                    field="MILLRACE_HOME",
                    remedy="make room on the disk; no result leaves without its entry, and documents wait until then",
                ) from error
            finally:
                fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _append(self, facts: dict[str, Any]) -> Head:
        entry, head = chained(self._head, {"at": now().isoformat(), **facts})
        line = entry.line()
        written = os.write(self._file, line)
        if written != len(line):
            # what was written of the line is taken back by whoever appends next
            raise OSError(28, "only a part of the entry was written")
        self._head = head
        return head

    def _catch_up(self) -> None:
        """Takes what others appended for the head; half a line that a crash left becomes an entry about it."""
        size = os.fstat(self._file).st_size
        if size == self._head.end:
            return
        whole, torn = last_line(self._file, size)
        if whole:
            try:
                entry = read_line(whole)
            except ValueError as error:
                raise _broken(self._path, f"its last line is no entry of its chain: {error}") from error
            self._head = Head(entry.seq, entry.hash, size - len(torn))
        else:
            self._head = Head()
        if torn:
            os.ftruncate(self._file, self._head.end)
            dropped = {"about": "trail", "request": None, "response": sha256_bytes(torn), "status": len(torn)}
            self._append({**dropped, "outcome": "unfinished-line-dropped", "seconds": 0.0})


def last_line(file: int, size: int) -> tuple[bytes, bytes]:
    """The last whole line of an open file of this size, empty when there is none, and the bytes behind it."""
    window = os.pread(file, min(size, 2 * _LONGEST_LINE_BYTES), max(0, size - 2 * _LONGEST_LINE_BYTES))
    lines = window.splitlines(keepends=True)
    torn = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
    return (lines[-1] if lines else b""), torn


def write_anchor(path: Path, head: Head) -> None:
    """Replaces the anchor; after a crash there is the old one or the new one."""
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    with draft.open("wb") as file:
        file.write(json.dumps(vars(head)).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_anchor(path: Path) -> Head | None:
    """The head in the anchor; None when there is none or it cannot be read."""
    try:
        told = json.loads(path.read_bytes())
        return Head(int(told["seq"]), str(told["sha256"]), int(told["end"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def require_anchored(file: int, anchor: Head | None, path: Path) -> None:
    """Passes a trail that holds the entry that its anchor names.

    Raises:
        IntegrityBroken: it does not.
    """
    if anchor is not None:
        window = os.pread(file, min(anchor.end, _LONGEST_LINE_BYTES), max(0, anchor.end - _LONGEST_LINE_BYTES))
        try:
            found = read_line(window.splitlines(keepends=True)[-1]) if anchor.seq else None
        except (ValueError, IndexError):
            found = None
        if anchor.seq == 0 or (found is not None and (found.seq, found.hash) == (anchor.seq, anchor.sha256)):
            return
    raise _broken(path, "it does not hold the entry that its anchor names")


def _broken(path: Path, what: str) -> IntegrityBroken:
    return IntegrityBroken(
        f"the audit trail {path} was altered, so nothing is appended to it: {what}",
        field="audit",
        remedy="run `millrace llm verify`; restore the trail from a backup, or keep trail and anchor as evidence in "
        "another place and start anew",
    )
