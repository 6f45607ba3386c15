import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millrace.contracts.errors import BadInput
from millrace.warehouse.encoding import encoding_of, to_utf8
from millrace.warehouse.sniff import DELIMITERS, has_header, sniff


def _file(tmp_path: Path, data: bytes | str) -> Path:
    path = tmp_path / "file.csv"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1;2\n", ";"),
        ("a\tb\n1\t2\n", "\t"),
        ("a;b\n1,5;2,5\n3,5;4,5\n", ";"),
        ("id;text\n1;hello, world, how, are, you\n2;fine\n", ";"),
        ('id,text\n1,"a;b;c;d"\n2,"e;f;g;h"\n', ","),
        ("id\ttext\n1\ta, b; c\n2\td, e; f\n", "\t"),
        ('a,b\n"line\nbreak; with; signs",2\n', ","),
        ("a,b;c\n1,2\n3,4\n", ","),
    ],
)
def test_the_delimiter_is_the_one_that_gives_even_rows(tmp_path: Path, text: str, delimiter: str) -> None:
    assert sniff(_file(tmp_path, text)).delimiter == delimiter


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("age,region\n31,north\n45,south\n", True),
        ("31,north\n45,south\n", False),
        ("name,city\nada,london\neve,paris\n", True),
        ("country,2019,2020\nchad,1,2\nperu,3,4\n", True),
        ("1,2\n3,4\n", False),
        ("a,b\n,\n,\n", True),
        ("a,b\n", True),
        ("-1.5,x\n2.5e3,y\n", False),
    ],
)
def test_the_first_row_is_a_header_when_it_names_columns_of_numbers(tmp_path: Path, text: str, header: bool) -> None:
    dialect = sniff(_file(tmp_path, text))
    assert dialect.header is header
    if not header:
        assert dialect.names == ("column_1", "column_2")


def test_a_header_needs_no_rows_below() -> None:
    assert has_header([["a", "b"]])


_CELL = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029\x85"), max_size=12)
_NAME = st.text("abcdefgh", min_size=1, max_size=6)


@settings(deadline=None, max_examples=60)
@given(
    rows=st.lists(st.tuples(_CELL, _CELL, _CELL), min_size=2, max_size=20),
    names=st.lists(_NAME, min_size=3, max_size=3, unique=True),
    delimiter=st.sampled_from(DELIMITERS),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_pythons_writer_quotes_is_sniffed_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list, names: list[str], delimiter: str, line_end: str
) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    writer.writerow(names)
    writer.writerows(rows)
    path = tmp_path_factory.mktemp("sniff") / "file.csv"
    path.write_bytes(stream.getvalue().encode())

    dialect = sniff(path)

    assert dialect.delimiter == delimiter
    assert dialect.header
    assert dialect.names == tuple(names)


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("latin-1", "latin-1"),
        ("utf-16", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
    ],
)
def test_every_encoding_is_found_and_gives_the_same_text(tmp_path: Path, encoding: str, found: str) -> None:
    text = "näme,größe\r\nçà,1\r\nñ,2\r\n"
    data = text.encode(encoding)
    if encoding == "utf-16-be":
        data = b"\xfe\xff" + data
    path = _file(tmp_path, data)

    assert encoding_of(path) == found
    to_utf8(path, tmp_path / "plain", found)
    assert (tmp_path / "plain").read_bytes() == text.encode()


def test_windows_quotes_in_what_calls_itself_latin_1(tmp_path: Path) -> None:
    path = _file(tmp_path, "a,b\n\u201cx\u201d,20 €\n".encode("cp1252"))
    assert encoding_of(path) == "cp1252"
    to_utf8(path, tmp_path / "plain", "cp1252")
    assert (tmp_path / "plain").read_text() == "a,b\n\u201cx\u201d,20 €\n"


def test_bytes_that_no_encoding_has_are_refused(tmp_path: Path) -> None:
    path = _file(tmp_path, b"a,b\nx,\x81\n")
    with pytest.raises(BadInput, match="line"):
        to_utf8(path, tmp_path / "plain", encoding_of(path))


@settings(deadline=None, max_examples=40)
@given(text=st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00\ufeff"), min_size=1))
def test_any_utf_8_text_is_utf_8(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    assert encoding_of(_file(tmp_path_factory.mktemp("text"), text)) == "utf-8"


def test_characters_across_blocks_are_not_taken_for_broken_ones(tmp_path: Path) -> None:
    # lines longer than the block of 1 MiB, of characters of two and three bytes at every offset
    for shift in range(4):
        path = _file(tmp_path, "a" * shift + "ä€" * 700_000 + ",b\n1,2\n")
        assert encoding_of(path) == "utf-8"


def test_the_line_of_a_mixed_encoding_is_exact_far_into_the_file(tmp_path: Path) -> None:
    lines = [b"plain,text\n"] * 200_000
    lines[3] = "grün,x\n".encode()
    lines[150_000] = "grün,x\n".encode("latin-1")
    with pytest.raises(BadInput, match="line 4 says UTF-8, and line 150001 is not UTF-8"):
        encoding_of(_file(tmp_path, b"".join(lines)))
