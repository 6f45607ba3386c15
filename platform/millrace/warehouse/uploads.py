"""Uploads: bytes to disk while they arrive, then a version of a data set with its event, all or nothing."""

import hashlib
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from sqlalchemy.orm import Session

from millrace.contracts.canonical import CHUNK_BYTES
from millrace.contracts.errors import BadInput, TooLarge
from millrace.contracts.events import DatasetUploaded, now
from millrace.contracts.identifiers import DatasetKey, new_id
from millrace.contracts.references import Ref, dataset_ref
from millrace.settings import Settings
from millrace.warehouse.artifacts import Stored, record_artifact
from millrace.warehouse.datasets import VersionFacts, facts_of, find_content, newest_number
from millrace.warehouse.disk import require_room, work_folder
from millrace.warehouse.magic import HEAD_BYTES, recognise
from millrace.warehouse.outbox import enqueue
from millrace.warehouse.prepare import Limits, Prepared, prepare
from millrace.warehouse.prepare_apart import prepare_apart
from millrace.warehouse.schema import Dataset, DatasetVersion
from millrace.warehouse.statements import Made, Origin, record_statement
from millrace.warehouse.store import Warehouse

_ROOM_EVERY_BYTES: Final = 32 << 20
_APART_BYTES: Final = 4 << 20
"""Uploads from this size on are prepared in a process of their own, which costs half a second; gzip counts tenfold."""
_MAX_NAME: Final = 255


@dataclass(frozen=True)
class Received:
    """An upload on disk, as it came. `path` is used up by `store_upload`; who does not call that removes it."""

    path: Path
    sha256: str
    size_bytes: int
    file_name: str


@dataclass(frozen=True)
class UploadResult:
    """What an upload became. `created` is False when these bytes were there already; then no event was written."""

    version: VersionFacts
    created: bool
    event_id: str | None


def receive(
    chunks: Iterable[bytes] | BinaryIO,
    *,
    file_name: str,
    settings: Settings,
    warehouse: Warehouse,
    expected_bytes: int | None = None,
) -> Received:
    """The upload on disk, hashed while it came; nothing is left when it is refused.

    Raises:
        BadInput: it is empty.
        UnsupportedFormat: its first bytes are of no format that can be read.
        TooLarge: above MILLRACE_MAX_UPLOAD_BYTES.
        InsufficientStorage: the disk has no room for it.
    """
    folder = work_folder(settings.home)
    _check_size(expected_bytes or 0, settings)
    require_room(folder, expected_bytes or 0)
    descriptor, name = tempfile.mkstemp(dir=folder, prefix="upload-")
    path = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as output:
            sha256, size = _stream(_pieces(chunks), output, settings, folder)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return Received(path, sha256, size, safe_file_name(file_name))


def store_upload(
    warehouse: Warehouse,
    settings: Settings,
    received: Received,
    *,
    key: DatasetKey,
    name: str,
    trace_parent: str | None = None,
) -> UploadResult:
    """The version that the upload became, with its event in the outbox; the same bytes again are the same version.

    Raises:
        BadInput: the file cannot be a data set; nothing is stored.
        TooLarge: it unpacks to more than MILLRACE_MAX_DECOMPRESSED_BYTES, or has too many columns.
        UnsupportedFormat: it is neither CSV nor Parquet.
        InsufficientStorage: the disk has no room for the work.
    """
    started = time.monotonic()
    try:
        with warehouse.read() as session:
            there = find_content(session, key, received.sha256)
        if there is not None:
            return UploadResult(there, created=False, event_id=None)
        limits = Limits(settings.max_decompressed_bytes, settings.max_columns)
        with tempfile.TemporaryDirectory(dir=work_folder(settings.home), prefix="prepare-") as work:
            prepared = _prepare(received, Path(work), limits)
            media_type = "application/vnd.apache.parquet"
            table = warehouse.artifacts.put_file(prepared.table, media_type=media_type, move=True)
        raw = Stored(received.sha256, received.size_bytes, _raw_media_type(prepared))
        warehouse.artifacts.adopt(received.path, raw, move=True)
        seconds = time.monotonic() - started
        with warehouse.transaction() as session:
            # another upload of these bytes may have come first since we looked
            there = find_content(session, key, received.sha256)
            if there is not None:
                return UploadResult(there, created=False, event_id=None)
            facts = _add_version(session, received, prepared, raw=raw, table=table, key=key, name=name)
            _state(session, warehouse, facts, seconds)
            event_id = _announce(session, warehouse, facts, trace_parent)
        return UploadResult(facts, created=True, event_id=event_id)
    finally:
        received.path.unlink(missing_ok=True)


def safe_file_name(name: str) -> str:
    """The last part of the name without control characters, at most 255 characters; `upload` when nothing is left."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(sign for sign in last if sign.isprintable())
    return kept.strip()[:_MAX_NAME] or "upload"


def _pieces(chunks: Iterable[bytes] | BinaryIO) -> Iterator[bytes]:
    if isinstance(chunks, Iterable) and not hasattr(chunks, "read"):
        yield from chunks
        return
    while piece := chunks.read(CHUNK_BYTES):
        yield piece


def _stream(pieces: Iterator[bytes], output: BinaryIO, settings: Settings, folder: Path) -> tuple[str, int]:
    digest, size, head = hashlib.sha256(), 0, b""
    judged = False
    for piece in pieces:
        size += len(piece)
        _check_size(size, settings)
        if size // _ROOM_EVERY_BYTES != (size - len(piece)) // _ROOM_EVERY_BYTES:
            output.flush()
            require_room(folder, _ROOM_EVERY_BYTES)
        if not judged:
            head += piece
            if len(head) >= HEAD_BYTES:
                recognise(head)
                judged = True
        digest.update(piece)
        output.write(piece)
    if size == 0:
        raise BadInput("the file is empty", field="file", remedy="send a file with a header and at least two rows")
    if not judged:
        recognise(head)
    return digest.hexdigest(), size


def _check_size(size: int, settings: Settings) -> None:
    if size > settings.max_upload_bytes:
        raise TooLarge(
            f"the upload is larger than {settings.max_upload_bytes:,} bytes",
            field="file",
            remedy="raise MILLRACE_MAX_UPLOAD_BYTES, compress the file with gzip, or send Parquet",
        )


def _prepare(received: Received, work: Path, limits: Limits) -> Prepared:
    with received.path.open("rb") as stream:
        weight = 10 if stream.read(2) == b"\x1f\x8b" else 1
    run = prepare_apart if received.size_bytes * weight >= _APART_BYTES else prepare
    return run(received.path, work, limits)


def _raw_media_type(prepared: Prepared) -> str:
    if prepared.meta.get("compression") == "gzip":
        return "application/gzip"
    return "text/csv" if prepared.format == "csv" else "application/vnd.apache.parquet"


def _add_version(
    session: Session,
    received: Received,
    prepared: Prepared,
    *,
    raw: Stored,
    table: Stored,
    key: DatasetKey,
    name: str,
) -> VersionFacts:
    at = now()
    dataset = session.get(Dataset, tuple(key))
    if dataset is None:
        dataset = Dataset(user_id=key.user_id, dataset_id=key.dataset_id, name=name, created_at=at)
        session.add(dataset)
    dataset.name = name
    session.flush()
    for stored in (raw, table):
        record_artifact(session, stored, at=at)
    row = DatasetVersion(
        user_id=key.user_id,
        dataset_id=key.dataset_id,
        version=newest_number(session, key) + 1,
        sha256=raw.sha256,
        table_sha256=table.sha256,
        file_name=received.file_name,
        format=prepared.format,
        size_bytes=received.size_bytes,
        record_count=prepared.profile.row_count,
        column_count=len(prepared.profile.columns),
        profile=prepared.profile.model_dump(mode="json"),
        meta=prepared.meta,
        created_at=at,
    )
    session.add(row)
    session.flush()
    return facts_of(row, name)


def _state(session: Session, warehouse: Warehouse, facts: VersionFacts, seconds: float) -> None:
    ref = dataset_ref(facts.key, facts.version)
    made = Made(
        asset="dataset",
        inputs=(),
        parameters=facts.meta,
        seed=None,
        rows_in=None,
        rows_out=facts.record_count,
        seconds=seconds,
    )
    record_statement(
        session,
        key=facts.key,
        version=facts.version,
        made=made,
        outputs=(Ref(ref, facts.sha256, part="raw"), Ref(ref, facts.table_sha256, part="table")),
        origin=Origin(code_version=warehouse.code_version),
        at=facts.created_at,
    )


def _announce(session: Session, warehouse: Warehouse, facts: VersionFacts, trace_parent: str | None) -> str:
    event = DatasetUploaded.write(
        timestamp=facts.created_at,
        user_id=facts.key.user_id,
        dataset_id=facts.key.dataset_id,
        event_id=new_id("ev"),
        name=facts.name,
        version=facts.version,
        sha256=facts.sha256,
        file_name=facts.file_name,
        format=facts.format,
        size_bytes=facts.size_bytes,
        record_count=facts.record_count,
        column_count=facts.column_count,
        metadata=facts.meta,
    )
    return enqueue(session, warehouse.topics, event, trace_parent=trace_parent, content_sha256=facts.sha256)
