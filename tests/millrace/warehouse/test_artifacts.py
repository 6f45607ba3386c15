import hashlib
import threading
from pathlib import Path

import pytest
from sqlalchemy import func, select

from millrace.contracts.errors import IntegrityBroken, NotFound
from millrace.warehouse.artifacts import ArtifactStore, Stored, record_artifact
from millrace.warehouse.schema import Artifact
from millrace.warehouse.store import Warehouse


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore((tmp_path / "artifacts").as_uri())


def test_bytes_are_stored_once_under_their_hash(store: ArtifactStore, tmp_path: Path) -> None:
    stored = store.put_bytes(b"abc", media_type="text/plain")

    # NIST's test vector for SHA-256 of "abc"
    assert stored.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert store.put_bytes(b"abc", media_type="text/plain") == stored
    assert store.read_bytes(stored.sha256) == b"abc"
    assert store.local_path(stored.sha256) == tmp_path / "artifacts" / "ba" / "78" / stored.sha256
    assert [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()] == [store.local_path(stored.sha256)]


@pytest.mark.parametrize("move", [False, True])
def test_a_file_is_stored_and_gone_only_when_moved(store: ArtifactStore, tmp_path: Path, move: bool) -> None:
    source = tmp_path / "file"
    source.write_bytes(b"x" * 3_000_000)

    stored = store.put_file(source, media_type="application/octet-stream", move=move)

    assert stored == Stored(hashlib.sha256(b"x" * 3_000_000).hexdigest(), 3_000_000, "application/octet-stream")
    assert source.exists() is not move
    store.verify(stored.sha256)


def test_moving_a_file_that_is_there_already_removes_it(store: ArtifactStore, tmp_path: Path) -> None:
    stored = store.put_bytes(b"abc", media_type="text/plain")
    source = tmp_path / "file"
    source.write_bytes(b"abc")

    assert store.put_file(source, media_type="text/plain", move=True) == stored
    assert not source.exists()


def test_verify_finds_one_changed_byte(store: ArtifactStore) -> None:
    stored = store.put_bytes(b"abc", media_type="text/plain")
    store.local_path(stored.sha256).write_bytes(b"abd")

    with pytest.raises(IntegrityBroken, match=stored.sha256):
        store.verify(stored.sha256)


def test_what_is_not_there_is_not_found(store: ArtifactStore) -> None:
    for ask in (store.read_bytes, store.open, store.local_path, store.verify):
        with pytest.raises(NotFound):
            ask("0" * 64)
    assert not store.exists("0" * 64)


@pytest.mark.parametrize("name", ["../../etc/passwd", "0" * 63, "0" * 63 + "G", ""])
def test_a_name_that_is_no_hash_reaches_no_file(store: ArtifactStore, name: str) -> None:
    with pytest.raises(NotFound):
        store.read_bytes(name)


def test_nothing_is_left_of_a_write_that_broke_off(store: ArtifactStore, tmp_path: Path) -> None:
    class Breaks:
        def __init__(self) -> None:
            self.left = 2

        def read(self, size: int = -1) -> bytes:
            self.left -= 1
            if self.left < 0:
                raise OSError("the disk is full")
            return b"x" * 1000

    with pytest.raises(OSError, match="disk is full"):
        store._put("0" * 64, Breaks())  # type: ignore[arg-type]

    assert [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()] == []


def test_many_writers_of_the_same_bytes_leave_one_artifact(store: ArtifactStore, tmp_path: Path) -> None:
    data = b"y" * 500_000
    writers = [threading.Thread(target=store.put_bytes, args=(data,), kwargs={"media_type": "x"}) for _ in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    store.verify(hashlib.sha256(data).hexdigest())
    assert len([path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]) == 1


def test_a_remote_store_gives_a_local_copy(tmp_path: Path) -> None:
    # fsspec's own memory file system stands for an object store: no local paths, no rename
    store = ArtifactStore("memory://artifacts")
    source = tmp_path / "file"
    source.write_bytes(b"abc")

    stored = store.put_file(source, media_type="text/plain", move=True)

    assert not source.exists()
    assert store.local_path(stored.sha256).read_bytes() == b"abc"
    store.verify(stored.sha256)
    with pytest.raises(NotFound):
        store.local_path("0" * 64)


def test_the_row_of_an_artifact_is_added_once(warehouse: Warehouse) -> None:
    stored = warehouse.artifacts.put_bytes(b"abc", media_type="text/plain")
    for _ in range(2):
        with warehouse.transaction() as session:
            record_artifact(session, stored)

    with warehouse.read() as session:
        assert session.scalar(select(func.count()).select_from(Artifact)) == 1
