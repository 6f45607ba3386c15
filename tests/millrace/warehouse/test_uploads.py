# Above 300 lines because one table of bad files is read together with what each leaves behind.
import gzip
import hashlib
import io
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from sqlalchemy import func, select

from millrace.contracts.errors import BadInput, InsufficientStorage, NotFound, TooLarge, UnsupportedFormat
from millrace.contracts.events import DatasetUploaded
from millrace.contracts.identifiers import DatasetKey
from millrace.settings import Settings
from millrace.warehouse import disk
from millrace.warehouse.datasets import get_version, list_datasets, list_versions, read_table
from millrace.warehouse.schema import Artifact, DatasetVersion, Outbox, Statement
from millrace.warehouse.statements import statement_hash
from millrace.warehouse.store import Warehouse
from millrace.warehouse.uploads import receive, safe_file_name

KEY = DatasetKey("ada", "loans")
SMALL = b"age,region,approved\n31,north,true\n45,south,false\n28,,true\n"
OTHER = b"age,region,approved\n31,north,true\n45,south,false\n29,,true\n"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def _events(warehouse: Warehouse) -> list[DatasetUploaded]:
    with warehouse.read() as session:
        return [DatasetUploaded.model_validate_json(one) for one in session.scalars(select(Outbox.value))]


def _count(warehouse: Warehouse, table: type) -> int:
    with warehouse.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def _left_over(settings: Settings) -> list[Path]:
    folder = settings.home / "tmp"
    return list(folder.iterdir()) if folder.exists() else []


def test_an_upload_becomes_a_version_with_its_event_and_statement(
    warehouse: Warehouse, settings: Settings, upload
) -> None:
    result = upload(SMALL, trace_parent=TRACE)
    version = result.version

    assert result.created
    assert (version.version, version.record_count, version.column_count) == (1, 3, 3)
    assert version.sha256 == hashlib.sha256(SMALL).hexdigest()
    assert (version.file_name, version.format, version.size_bytes) == ("loans.csv", "csv", len(SMALL))
    assert warehouse.artifacts.read_bytes(version.sha256) == SMALL
    warehouse.artifacts.verify(version.table_sha256)

    (event,) = _events(warehouse)
    assert (event.event_id, event.version, event.sha256) == (result.event_id, 1, version.sha256)
    assert (event.name, event.record_count, event.column_count) == ("Loans", 3, 3)
    assert event.metadata["encoding"] == "utf-8"
    assert event.metadata["delimiter"] == ","
    assert event.metadata["compression"] is None
    with warehouse.read() as session:
        headers = session.scalars(select(Outbox.headers)).one()
        assert (headers["traceparent"], headers["content-sha256"]) == (TRACE, version.sha256)
        statement = session.scalars(select(Statement)).one()
        assert (statement.asset, statement.inputs, statement.rows_out) == ("dataset", [], 3)
        assert statement.outputs == [
            {"ref": "dataset:ada.loans@v1", "sha256": version.sha256, "kind": "artifact", "part": "raw"},
            {"ref": "dataset:ada.loans@v1", "sha256": version.table_sha256, "kind": "artifact", "part": "table"},
        ]
        assert statement_hash(statement) == statement.statement_sha256
        assert get_version(session, KEY) == version == get_version(session, KEY, 1)
    assert _left_over(settings) == []


def test_the_same_bytes_again_are_the_same_version_and_no_second_event(warehouse: Warehouse, upload) -> None:
    first = upload(SMALL)
    again = upload(SMALL, name="Another name", file_name="other.csv")

    assert (again.created, again.event_id) == (False, None)
    assert again.version == first.version
    assert len(_events(warehouse)) == 1


def test_new_bytes_are_the_next_version(warehouse: Warehouse, upload) -> None:
    upload(SMALL)
    second = upload(OTHER, name="Renamed")

    assert second.version.version == 2
    assert [event.version for event in _events(warehouse)] == [1, 2]
    with warehouse.read() as session:
        assert [one.version for one in list_versions(session, KEY)] == [1, 2]
        assert [(one.version, one.name) for one in list_datasets(session, "ada")] == [(2, "Renamed")]
        assert list_datasets(session, "eve") == []
        assert get_version(session, KEY).version == 2
        with pytest.raises(NotFound, match="version 3"):
            get_version(session, KEY, 3)
        with pytest.raises(NotFound):
            get_version(session, DatasetKey("eve", "loans"))


def test_the_same_bytes_of_another_data_set_are_its_own_version(warehouse: Warehouse, upload) -> None:
    upload(SMALL)
    other = upload(SMALL, key=DatasetKey("eve", "loans"))

    assert other.created
    assert other.version.version == 1
    # the bytes themselves are there once: the raw file and the table
    assert _count(warehouse, Artifact) == 2


def test_many_uploads_of_the_same_bytes_at_once_are_one_version(warehouse: Warehouse, upload) -> None:
    results = []
    threads = [threading.Thread(target=lambda: results.append(upload(SMALL))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(one.created for one in results) == [False, False, False, True]
    assert {one.version.version for one in results} == {1}
    assert len(_events(warehouse)) == 1


def test_different_bytes_at_once_are_different_versions(warehouse: Warehouse, upload) -> None:
    results = []
    files = [SMALL + f"{number},north,true\n".encode() for number in range(4)]
    threads = [threading.Thread(target=lambda data=data: results.append(upload(data))) for data in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(one.version.version for one in results) == [1, 2, 3, 4]
    assert sorted(event.version for event in _events(warehouse)) == [1, 2, 3, 4]


def test_an_upload_whose_transaction_fails_leaves_nothing(
    warehouse: Warehouse, settings: Settings, upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> str:
        raise RuntimeError("the event cannot be written")

    monkeypatch.setattr("millrace.warehouse.uploads.enqueue", broken)
    with pytest.raises(RuntimeError):
        upload(SMALL)

    assert [_count(warehouse, table) for table in (DatasetVersion, Outbox, Statement, Artifact)] == [0, 0, 0, 0]
    assert _left_over(settings) == []


def test_a_refused_upload_leaves_nothing(light_warehouse: Warehouse, light_settings: Settings, light_upload) -> None:
    with pytest.raises(BadInput):
        light_upload(b"a,b\n1,2\n3\n")

    assert _count(light_warehouse, DatasetVersion) == 0
    assert _left_over(light_settings) == []
    assert not (light_settings.home / "artifacts").exists()


@pytest.mark.parametrize("compressed", [False, True])
def test_an_upload_prepared_in_another_process_is_the_same(
    light_warehouse: Warehouse,
    light_settings: Settings,
    light_upload,
    monkeypatch: pytest.MonkeyPatch,
    compressed: bool,
) -> None:
    data = gzip.compress(SMALL, mtime=0) if compressed else SMALL
    here = light_upload(data).version
    monkeypatch.setattr("millrace.warehouse.uploads._APART_BYTES", 1)
    apart = light_upload(data, key=DatasetKey("eve", "loans")).version

    assert (apart.profile, apart.meta, apart.table_sha256) == (here.profile, here.meta, here.table_sha256)
    with pytest.raises(BadInput, match="line 3 has 1 cells") as raised:
        light_upload(b"a,b\n1,2\n3\n")
    assert raised.value.field == "file"
    assert raised.value.remedy
    with pytest.raises(UnsupportedFormat, match="gzip within gzip"):
        light_upload(gzip.compress(gzip.compress(SMALL)))
    assert _left_over(light_settings) == []


def _receive(settings: Settings, warehouse: Warehouse, pieces: object, **more: int) -> object:
    return receive(pieces, file_name="x.csv", settings=settings, warehouse=warehouse, **more)  # type: ignore[arg-type]


def test_bytes_are_hashed_while_they_come_from_pieces_or_a_file(
    light_warehouse: Warehouse, light_settings: Settings
) -> None:
    pieces = (SMALL[start : start + 7] for start in range(0, len(SMALL), 7))
    first = _receive(light_settings, light_warehouse, pieces)
    second = _receive(light_settings, light_warehouse, io.BytesIO(SMALL))

    assert first.sha256 == second.sha256 == hashlib.sha256(SMALL).hexdigest()  # type: ignore[attr-defined]
    assert first.path.read_bytes() == SMALL  # type: ignore[attr-defined]


def test_an_upload_above_the_limit_is_refused_as_soon_as_it_is(make_settings, tmp_path, light_warehouse) -> None:
    settings = make_settings(tmp_path / "limited", MILLRACE_MAX_UPLOAD_BYTES=1_000)
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 100
            yield b"a,b,c,d,e\n" * 10

    with pytest.raises(TooLarge, match="larger than 1,000 bytes") as raised:
        _receive(settings, light_warehouse, endless())
    assert "MILLRACE_MAX_UPLOAD_BYTES" in (raised.value.remedy or "")
    assert taken == 1_100
    assert _left_over(settings) == []
    with pytest.raises(TooLarge):
        _receive(settings, light_warehouse, iter(()), expected_bytes=1_001)


def test_an_upload_that_breaks_off_leaves_nothing(light_warehouse: Warehouse, light_settings: Settings) -> None:
    def breaks() -> Iterator[bytes]:
        yield SMALL
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        _receive(light_settings, light_warehouse, breaks())
    assert _left_over(light_settings) == []


def _disk_with(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    usage = SimpleNamespace(total=1 << 40, used=0, free=free)
    monkeypatch.setattr(disk, "shutil", SimpleNamespace(disk_usage=lambda _: usage, rmtree=shutil.rmtree))


def test_a_file_larger_than_the_disk_is_refused_before_it_is_taken(
    light_warehouse: Warehouse, light_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _disk_with(monkeypatch, 500 << 20)

    def never() -> Iterator[bytes]:
        raise AssertionError("a byte was taken")
        yield b""

    with pytest.raises(InsufficientStorage, match=r"1,073,741,824 bytes .* 524,288,000 are free"):
        _receive(light_settings, light_warehouse, never(), expected_bytes=1 << 30)


def test_a_disk_that_fills_up_while_the_file_comes_ends_the_upload(
    light_warehouse: Warehouse, light_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = disk.RESERVE_BYTES + (33 << 20)
    _disk_with(monkeypatch, free)
    piece = b"1234567,890123\n" * 70_000

    def pieces() -> Iterator[bytes]:
        for number in range(100):
            _disk_with(monkeypatch, free - number * len(piece))
            yield piece

    with pytest.raises(InsufficientStorage):
        _receive(light_settings, light_warehouse, pieces())
    assert _left_over(light_settings) == []


def test_work_that_a_killed_process_left_is_removed_after_a_day(tmp_path: Path) -> None:
    import os
    import time

    folder = disk.work_folder(tmp_path)
    (folder / "prepare-old").mkdir()
    (folder / "upload-old").write_bytes(b"x")
    (folder / "upload-new").write_bytes(b"x")
    for name in ("prepare-old", "upload-old"):
        os.utime(folder / name, (time.time() - 90_000,) * 2)

    disk.work_folder(tmp_path)

    assert [path.name for path in folder.iterdir()] == ["upload-new"]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("loans.csv", "loans.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\loans.csv", "loans.csv"),
        ("a\x00b\n.csv", "ab.csv"),
        ("Ünïcode 🙂.csv", "Ünïcode 🙂.csv"),
        ("<script>.csv", "<script>.csv"),
        ("x" * 300, "x" * 255),
        ("", "upload"),
        ("..", ".."),
        ("/", "upload"),
    ],
)
def test_a_file_name_is_only_a_name(name: str, kept: str) -> None:
    assert safe_file_name(name) == kept


def test_a_table_is_read_in_plain_dtypes(light_warehouse: Warehouse, light_upload) -> None:
    data = (
        b"whole,gaps,real,flag,maybe,day,moment,word\n"
        b"1,1,1.5,true,true,2024-01-31,2024-01-31 10:00:00,a\n"
        b"2,,2.5,false,,,,\n"
    )
    frame = read_table(light_warehouse, light_upload(data).version)

    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "whole": "int64",
        "gaps": "float64",
        "real": "float64",
        "flag": "bool",
        "maybe": "object",
        "day": "datetime64[ms]",
        "moment": "datetime64[us]",
        "word": "object",
    }
    assert frame.loc[1, "maybe"] is None
    assert frame.loc[1, "word"] is None
    assert pd.isna(frame.loc[1, "day"])
    assert frame.loc[0, "day"] == pd.Timestamp("2024-01-31")
