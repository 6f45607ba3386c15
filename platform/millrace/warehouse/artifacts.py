"""Bytes by content: an artifact's name is its SHA-256, and nothing half written ever has that name."""

import hashlib
import io
import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from sqlalchemy.orm import Session

from millrace.contracts.canonical import CHUNK_BYTES, sha256_bytes, sha256_file
from millrace.contracts.errors import IntegrityBroken, NotFound
from millrace.contracts.events import now
from millrace.warehouse.schema import Artifact


@dataclass(frozen=True)
class Stored:
    """An artifact that is in the store."""

    sha256: str
    size_bytes: int
    media_type: str


class ArtifactStore:
    """A folder or bucket, given as fsspec URL, with the layout `ab/cd/<sha256>`."""

    def __init__(self, url: str) -> None:
        import fsspec
        from fsspec.implementations.local import LocalFileSystem

        self.url = url
        self._files, self._root = fsspec.core.url_to_fs(url)
        self._local = isinstance(self._files, LocalFileSystem)
        self._cache: Path | None = None

    def put_bytes(self, data: bytes, *, media_type: str) -> Stored:
        """The bytes, stored; the same bytes are stored once."""
        stored = Stored(sha256_bytes(data), len(data), media_type)
        self._put(stored.sha256, io.BytesIO(data))
        return stored

    def put_file(self, path: Path, *, media_type: str, move: bool = False) -> Stored:
        """The file's bytes, stored; with `move` the file is gone afterwards."""
        stored = Stored(sha256_file(path), path.stat().st_size, media_type)
        self.adopt(path, stored, move=move)
        return stored

    def adopt(self, path: Path, stored: Stored, *, move: bool = False) -> None:
        """Stores a file whose hash was computed while it was written."""
        if move and self._local and not self.exists(stored.sha256):
            target = Path(self._path(stored.sha256))
            target.parent.mkdir(parents=True, exist_ok=True)
            with path.open("rb") as source:
                os.fsync(source.fileno())
            if path.stat().st_dev == target.parent.stat().st_dev:
                path.replace(target)
                _sync_folder(target.parent)
                return
        with path.open("rb") as source:
            self._put(stored.sha256, source)
        if move:
            path.unlink()

    def read_bytes(self, sha256: str) -> bytes:
        """The artifact's bytes.

        Raises:
            NotFound: it is not in the store.
        """
        with self.open(sha256) as stream:
            return stream.read()

    def open(self, sha256: str) -> BinaryIO:
        """The artifact as a binary stream that the caller closes.

        Raises:
            NotFound: it is not in the store.
        """
        try:
            return cast(BinaryIO, self._files.open(self._path(sha256), "rb"))
        except FileNotFoundError as error:
            raise _missing(sha256) from error

    def local_path(self, sha256: str) -> Path:
        """A file on this machine with the artifact's bytes: in a local store the artifact itself, never to be changed.

        Raises:
            NotFound: it is not in the store.
        """
        if self._local:
            path = Path(self._path(sha256))
            if not path.is_file():
                raise _missing(sha256)
            return path
        if self._cache is None:
            self._cache = Path(tempfile.mkdtemp(prefix="millrace-artifacts-"))
        copy = self._cache / sha256
        if not copy.exists():
            partial = copy.with_suffix(f".{os.getpid()}.part")
            with self.open(sha256) as source, partial.open("wb") as target:
                shutil.copyfileobj(source, target, CHUNK_BYTES)
            partial.replace(copy)
        return copy

    def exists(self, sha256: str) -> bool:
        """Whether the artifact is in the store."""
        return bool(self._files.exists(self._path(sha256)))

    def verify(self, sha256: str) -> None:
        """Reads the artifact and hashes it again.

        Raises:
            NotFound: it is not in the store.
            IntegrityBroken: its bytes are no longer those it is named after.
        """
        digest = hashlib.sha256()
        with self.open(sha256) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                digest.update(chunk)
        if digest.hexdigest() != sha256:
            raise IntegrityBroken(
                f"artifact {sha256} holds other bytes now: their SHA-256 is {digest.hexdigest()}",
                remedy="restore it from a backup; `millrace lineage verify` names what rests on it",
            )

    def _path(self, sha256: str) -> str:
        if len(sha256) != 64 or not all(sign in "0123456789abcdef" for sign in sha256):
            raise NotFound(f"{sha256[:80]!r} is no SHA-256", field="sha256", remedy="give 64 hexadecimal digits")
        return f"{self._root}/{sha256[:2]}/{sha256[2:4]}/{sha256}"

    def _put(self, sha256: str, source: IO[bytes]) -> None:
        path = self._path(sha256)
        if self._files.exists(path):
            return
        if not self._local:
            # object stores show an object only once it is complete
            with self._files.open(path, "wb") as target:
                shutil.copyfileobj(source, target, CHUNK_BYTES)
            return
        final = Path(path)
        final.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=final.parent, prefix=".part-")
        try:
            with os.fdopen(descriptor, "wb") as target:
                shutil.copyfileobj(source, target, CHUNK_BYTES)
                target.flush()
                os.fsync(target.fileno())
            os.replace(name, final)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_folder(final.parent)


def record_artifact(session: Session, stored: Stored, *, at: datetime | None = None) -> None:
    """Adds the artifact's row in the transaction of the fact that names it; one that is there stays as it is."""
    if session.get(Artifact, stored.sha256) is None:
        session.add(
            Artifact(
                sha256=stored.sha256,
                size_bytes=stored.size_bytes,
                media_type=stored.media_type,
                created_at=at or now(),
            )
        )
        session.flush()


def _missing(sha256: str) -> NotFound:
    return NotFound(
        f"artifact {sha256} is not in the store",
        field="sha256",
        remedy="check MILLRACE_ARTIFACTS_URL, or restore it from a backup",
    )


def _sync_folder(folder: Path) -> None:
    # the rename itself must survive a power cut, not only the bytes
    descriptor: Any = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
