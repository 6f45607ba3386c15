import gzip
import io

import pandas as pd
import pytest

from millrace.contracts.errors import BadInput, TooLarge, UnsupportedFormat
from millrace.settings import Settings
from millrace.warehouse.datasets import read_table
from millrace.warehouse.store import Warehouse

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 100
WIDE = (",".join(f"c{number}" for number in range(5_000)) + "\n" + ",".join("1" * 5_000) + "\n").encode()


def _parquet(frame: pd.DataFrame) -> bytes:
    stream = io.BytesIO()
    frame.to_parquet(stream)
    return stream.getvalue()


REFUSED: dict[str, tuple[bytes, type[BadInput], str]] = {
    "empty": (b"", BadInput, "file is empty"),
    "blank lines": (b"\n\n\n", BadInput, "file is empty"),
    "empty gzip": (gzip.compress(b""), BadInput, "file is empty"),
    "header only": (b"a,b\n", BadInput, "a header and no rows"),
    "header only, no line end": (b"a,b", BadInput, "a header and no rows"),
    "one row": (b"a,b\n1,2\n", BadInput, "one row only"),
    "one column": (b"a\n1\n2\n", BadInput, "one column only"),
    "5,000 columns": (WIDE, TooLarge, "5,000 columns, above the limit of 4,096"),
    "duplicate name": (b"a,b,a\n1,2,3\n4,5,6\n", BadInput, r"twice: 'a' \(columns 1 and 3\)"),
    "names that differ in capitals": (b"Age,age\n1,2\n3,4\n", BadInput, "twice: 'age'"),
    "empty name": (b"a,,c\n1,2,3\n4,5,6\n", BadInput, "column 2 has no name"),
    "index column": (b",a\n0,1\n1,2\n", BadInput, "column 1 has no name"),
    "control character in a name": (b"a,b\x07c\n1,2\n3,4\n", BadInput, "column 2 holds a control character"),
    "endless name": (b"a," + b"x" * 1_025 + b"\n1,2\n3,4\n", BadInput, "column 2 has 1,025 characters"),
    "too few cells": (b"a,b,c\n1,2,3\n4,5\n6,7,8\n", BadInput, "line 3 has 2 cells, and the first row has 3"),
    "too many cells": (b"a,b,c\n1,2,3\n4,5,6,7\n", BadInput, "line 3 has 4 cells, and the first row has 3"),
    "ragged after quoted lines": (b'a,b\n"x\ny\nz",2\n3\n', BadInput, "line 5 has 1 cells"),
    "open quote": (b'a,b\n1,"2\n3,4\n', BadInput, "line 2 cannot be read"),
    "text behind a quote": (b'a,b\n1,"2"x\n3,4\n', BadInput, "line 2 cannot be read"),
    "mixed encodings": ("a,b\n1,ä\n".encode() + "2,ö\n".encode("latin-1"), BadInput, "line 2 says UTF-8, and line 3"),
    "marked UTF-8 that is not": (b"\xef\xbb\xbfa,b\n1,\xe4\n2,x\n", BadInput, "byte order mark says UTF-8, and line 2"),
    "cut UTF-16": ("a,b\n1,2\n3,4\n".encode("utf-16")[:-1], BadInput, "not UTF-16"),
    "image": (PNG, UnsupportedFormat, "a PNG image"),
    "image in gzip": (gzip.compress(PNG), UnsupportedFormat, "a PNG image"),
    "workbook": (b"PK\x03\x04" + b"x" * 50, UnsupportedFormat, "Excel"),
    "document": (b"%PDF-1.7\n", UnsupportedFormat, "PDF"),
    "binary": (b"a,b\n1,\x002\n", UnsupportedFormat, "NUL"),
    "NUL far into the file": (b"a,b\n" + b"1,2\n" * 30_000 + b"3,\x00\n", UnsupportedFormat, "line 30002 holds a NUL"),
    "UTF-16 without a mark": ("a,b\n1,2\n".encode("utf-16-le"), UnsupportedFormat, "NUL"),
    "gzip within gzip": (gzip.compress(gzip.compress(b"a,b\n1,2\n3,4\n")), UnsupportedFormat, "gzip within gzip"),
    "cut gzip": (gzip.compress(b"a,b\n1,2\n3,4\n" * 99)[:-9], BadInput, "damaged or ends early"),
    "damaged gzip": (b"\x1f\x8b" + b"\x00" * 20, BadInput, "damaged or ends early"),
    "damaged Parquet": (b"PAR1" + b"\x00" * 50, BadInput, "Parquet file cannot be read"),
    "Parquet of one row": (_parquet(pd.DataFrame({"a": [1], "b": [2]})), BadInput, "one row only"),
    "Parquet of one column": (_parquet(pd.DataFrame({"a": [1, 2]})), BadInput, "one column only"),
    "nested Parquet": (_parquet(pd.DataFrame({"a": [[1], [2]], "b": [1, 2]})), BadInput, "column 'a' has type"),
    "infinite Parquet": (
        _parquet(pd.DataFrame({"a": [1.0, float("inf")], "b": [1, 2]})), BadInput, "'a' holds infinite values",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_a_data_set_is_refused_with_a_remedy(light_settings: Settings, light_upload, name: str) -> None:
    data, error, message = REFUSED[name]

    with pytest.raises(error, match=message) as raised:
        light_upload(data, file_name="data.csv")

    assert raised.value.field is not None
    assert raised.value.remedy
    folder = light_settings.home / "tmp"
    assert list(folder.iterdir()) == []


def test_a_setting_allows_more_columns(make_settings, tmp_path) -> None:
    from millrace.warehouse.column_names import checked_names

    names = [f"c{number}" for number in range(5_000)]
    assert checked_names(names, max_columns=5_000) == tuple(names)
    with pytest.raises(TooLarge, match="4,999") as raised:
        checked_names(names, max_columns=4_999)
    assert "MILLRACE_MAX_COLUMNS" in (raised.value.remedy or "")


KEPT: dict[str, tuple[bytes, list[list[object]]]] = {
    "formulas": (b"a,b\n=1+1,+x\n@f,-y\n", [["=1+1", "+x"], ["@f", "-y"]]),
    "markup": (b"<script>,b\n<b>,1\n&amp;,2\n", [["<b>", 1], ["&amp;", 2]]),
    "quotes and line ends": (b'"a ""x""\n",b\n"1\n2","say ""hi"""\ny,z\n', [["1\n2", 'say "hi"'], ["y", "z"]]),
    "quote inside a cell": (b'a,b\n5" pipe,1\nx,2\n', [['5" pipe', 1], ["x", 2]]),
    "CRLF": (b"a,b\r\nx,1\r\ny,2\r\n", [["x", 1], ["y", 2]]),
    "CR": (b"a,b\rx,1\ry,2\r", [["x", 1], ["y", 2]]),
    "mixed line ends": (b"a,b\r\nx,1\ny,2\r\n", [["x", 1], ["y", 2]]),
    "CRLF with LF in a cell": (b'a,b\r\n"x\nz",1\r\ny,2\r\n', [["x\nz", 1], ["y", 2]]),
    "blank lines": (b"a,b\n\nx,1\n\ny,2\n\n", [["x", 1], ["y", 2]]),
    "delimiter at the end of lines": (b"a,b\nx,1,\ny,2,\n", [["x", 1], ["y", 2]]),
    "codes": (b"zip,phone\n01234,+491234\n99999,+490000\n", [["01234", "+491234"], ["99999", "+490000"]]),
    "names in other scripts": ("имя,年齢\nа,1\nб,2\n".encode(), [["а", 1], ["б", 2]]),
    "statements": (b"a\"; DROP TABLE x; --,b\nx'); --,1\ny,2\n", [["x'); --", 1], ["y", 2]]),
    "a cell of a million characters": (b"a,b\n" + b"x" * 1_000_000 + b",1\ny,2\n", [["x" * 1_000_000, 1], ["y", 2]]),
}


@pytest.mark.parametrize("name", KEPT)
def test_odd_cells_are_kept_as_they_are(light_warehouse: Warehouse, light_upload, name: str) -> None:
    data, rows = KEPT[name]
    frame = read_table(light_warehouse, light_upload(data).version)
    assert frame.to_numpy(dtype=object).tolist() == rows


def test_a_column_name_is_kept_with_all_its_signs(light_warehouse: Warehouse, light_upload) -> None:
    data = b'" <script>alert(1)</script> ","a ""b""; DROP\nTABLE","it\'s"\n1,2,3\n4,5,6\n'
    names = ["<script>alert(1)</script>", 'a "b"; DROP\nTABLE', "it's"]
    version = light_upload(data).version

    assert [column.name for column in version.profile.columns] == names
    assert list(read_table(light_warehouse, version).columns) == names


def test_a_gzip_bomb_is_refused_before_it_has_grown(make_settings, tmp_path, light_warehouse) -> None:
    from millrace.warehouse.gunzip import gunzip

    bomb = tmp_path / "bomb.gz"
    with gzip.open(bomb, "wb", compresslevel=1) as stream:
        for _ in range(130):
            stream.write(b"0" * (1 << 20))
    target = tmp_path / "target"

    with pytest.raises(TooLarge, match="more than 1,000 bytes") as raised:
        gunzip(bomb, target, max_bytes=1_000)
    assert "MILLRACE_MAX_DECOMPRESSED_BYTES" in (raised.value.remedy or "")
    assert not target.exists()
    assert bomb.stat().st_size * 100 < 130 << 20


def test_a_ratio_that_no_table_has_is_a_bomb(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    from millrace.warehouse import gunzip as module

    bomb = tmp_path / "bomb.gz"
    bomb.write_bytes(gzip.compress(b"0" * (8 << 20)))
    monkeypatch.setattr(module, "FREE_BYTES", 1 << 20)

    with pytest.raises(TooLarge, match="400 times its size"):
        module.gunzip(bomb, tmp_path / "target", max_bytes=1 << 30)
    assert not (tmp_path / "target").exists()


def test_a_parquet_bomb_is_refused_by_its_own_account(make_settings, tmp_path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from millrace.warehouse.prepare import Limits, prepare

    # ten million rows in a few kilobytes
    pq.write_table(
        pa.table({"a": pa.nulls(10_000_000, pa.int8()), "b": pa.nulls(10_000_000, pa.int8())}), tmp_path / "b"
    )
    assert (tmp_path / "b").stat().st_size < 100_000
    with pytest.raises(TooLarge, match="unpacks to more than 1,000,000 bytes"):
        prepare(tmp_path / "b", tmp_path, Limits(1_000_000, 100))
