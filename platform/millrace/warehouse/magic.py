"""What a file is, by its first bytes and never by its name."""

from typing import Literal

from millrace.contracts.errors import UnsupportedFormat

Kind = Literal["parquet", "gzip", "text"]

HEAD_BYTES = 64 << 10
"""Bytes that are looked at; NUL bytes after them are found when the text is read."""

_PARQUET = b"PAR1"
_GZIP = b"\x1f\x8b"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_REFUSED: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"SQLite format 3\x00", "a SQLite database"),
    (b"\x7fELF", "a program"),
    (b"ORC", "an ORC file"),
    (b"Obj\x01", "an Avro file"),
    (b"ARROW1", "an Arrow file"),
)
_REMEDY = "send CSV (comma, semicolon or tab) or Parquet, plain or compressed with gzip"


def recognise(head: bytes) -> Kind:
    """The kind of file that begins with these bytes.

    Raises:
        UnsupportedFormat: it is neither text, Parquet nor gzip.
    """
    if head.startswith(_PARQUET):
        return "parquet"
    if head.startswith(_GZIP):
        return "gzip"
    for magic, name in _REFUSED:
        if head.startswith(magic):
            raise UnsupportedFormat(f"the file is {name}, whatever its name says", field="file", remedy=_REMEDY)
    if b"\x00" in head[:HEAD_BYTES] and not head.startswith(_UTF16):
        raise UnsupportedFormat(
            "the file is binary: it holds NUL bytes", field="file", remedy=_REMEDY + "; UTF-16 needs a byte order mark"
        )
    return "text"
