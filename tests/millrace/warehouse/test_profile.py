import csv
import io
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millrace.contracts.errors import TooLarge
from millrace.warehouse.prepare import Limits, prepare
from millrace.warehouse.table import read_parquet

LIMITS = Limits(1 << 30, 4096)


def _prepare(folder: Path, data: bytes) -> Any:
    (folder / "upload").write_bytes(data)
    return prepare(folder / "upload", folder, LIMITS)


def _types(tmp_path: Path, cells: list[str], *, delimiter: str = ",") -> tuple[str, list[Any]]:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter)
    writer.writerow(["column", "other"])
    writer.writerows([cell, "x"] for cell in cells)
    prepared = _prepare(tmp_path, stream.getvalue().encode())
    values = duckdb.sql(f"SELECT \"column\" FROM '{prepared.table}'").fetchall()
    return prepared.profile.columns[0].type, [value for (value,) in values]


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1", "-20", "0"], "integer", [1, -20, 0]),
        ([" 1 ", "2"], "integer", [1, 2]),
        (["1", "", "3"], "integer", [1, None, 3]),
        (["1", " ", "NA", "N/A", "null", "NULL", "NaN", "2"], "integer", [1, *[None] * 6, 2]),
        (["1", "2.5"], "number", [1.0, 2.5]),
        (["1e3", "-.5", "5."], "number", [1000.0, -0.5, 5.0]),
        (["1e999", "1"], "text", ["1e999", "1"]),
        (["inf", "1"], "text", ["inf", "1"]),
        (["007", "100"], "text", ["007", "100"]),
        (["+49", "100"], "text", ["+49", "100"]),
        (["12345678901234567890", "1"], "text", ["12345678901234567890", "1"]),
        (["1_000", "2"], "text", ["1_000", "2"]),
        (["true", "FALSE", "True"], "boolean", [True, False, True]),
        (["yes", "no"], "text", ["yes", "no"]),
        (["2024-02-29", "1999-12-31"], "date", [date(2024, 2, 29), date(1999, 12, 31)]),
        (["2023-02-29", "1999-12-31"], "text", ["2023-02-29", "1999-12-31"]),
        (["31.12.1999", "1.2.2000"], "date", [date(1999, 12, 31), date(2000, 2, 1)]),
        (["31/12/1999", "01/02/2000"], "date", [date(1999, 12, 31), date(2000, 2, 1)]),
        (["12/31/1999", "01/02/2000"], "date", [date(1999, 12, 31), date(2000, 1, 2)]),
        (["01/02/2000", "03/04/2000"], "text", ["01/02/2000", "03/04/2000"]),
        (["1", "2", "x"], "text", ["1", "2", "x"]),
        ([" a ", "b"], "text", [" a ", "b"]),
        (["", ""], "text", [None, None]),
    ],
)
def test_a_type_is_what_every_cell_allows(tmp_path: Path, cells: list[str], kind: str, values: list[Any]) -> None:
    assert _types(tmp_path, cells) == (kind, values)


def test_moments_with_an_offset_become_utc(tmp_path: Path) -> None:
    kind, values = _types(tmp_path, ["2024-01-31T10:00:00+02:00", "2024-01-31 10:00:00.5Z"])
    assert kind == "timestamp"
    assert values == [pd.Timestamp("2024-01-31 08:00:00"), pd.Timestamp("2024-01-31 10:00:00.5")]
    kind, values = _types(tmp_path, ["2024-01-31T10:00", "2024-01-31 10:00:01"])
    assert values == [pd.Timestamp("2024-01-31 10:00:00"), pd.Timestamp("2024-01-31 10:00:01")]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_decimal_commas_are_numbers_where_the_comma_does_not_separate(tmp_path: Path, delimiter: str) -> None:
    assert _types(tmp_path, ["1,5", "2"], delimiter=delimiter) == ("number", [1.5, 2.0])
    assert _types(tmp_path, ["1.234,5", "-2,25", "0,1"], delimiter=delimiter) == ("number", [1234.5, -2.25, 0.1])
    assert _types(tmp_path, ["1.5", "2"], delimiter=delimiter) == ("number", [1.5, 2.0])
    assert _types(tmp_path, ["1,5,5", "2"], delimiter=delimiter)[0] == "text"


def test_a_decimal_comma_in_quotes_stays_text_where_the_comma_separates(tmp_path: Path) -> None:
    assert _types(tmp_path, ["1,5", "2,5"]) == ("text", ["1,5", "2,5"])


def test_one_odd_cell_at_the_end_decides_against_the_type(tmp_path: Path) -> None:
    cells = [str(number) for number in range(30_000)]
    assert _types(tmp_path, cells)[0] == "integer"
    assert _types(tmp_path, [*cells, "1.5"])[0] == "number"
    assert _types(tmp_path, [*cells, "x"])[0] == "text"


def test_the_profile_agrees_with_pandas(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    rows = 3_000
    frame = pd.DataFrame(
        {
            "whole": rng.integers(-50, 50, rows),
            "real": rng.normal(size=rows).round(6),
            "word": rng.choice(["north", "south", "east"], rows),
            "flag": rng.random(rows) < 0.3,
        }
    )
    frame.loc[rng.random(rows) < 0.1, ["real", "word"]] = np.nan
    frame = pd.concat([frame, frame.head(7)], ignore_index=True)
    profile = _prepare(tmp_path, frame.to_csv(index=False).encode()).profile

    assert profile.row_count == len(frame)
    assert profile.duplicate_rows == int(frame.duplicated().sum()) >= 7
    for column in profile.columns:
        series = frame[column.name]
        counts = series.value_counts()
        assert column.null_count == series.isna().sum()
        assert column.distinct_count == series.nunique()
        assert [one.count for one in column.top] == counts.head(10).tolist()
        if column.type in ("integer", "number"):
            assert column.mean == pytest.approx(series.mean(), rel=1e-12)
            assert column.stddev == pytest.approx(series.std(), rel=1e-12)
            assert (float(column.minimum or 0), float(column.maximum or 0)) == (series.min(), series.max())
        if column.type == "text":
            assert (column.minimum, column.maximum) == ("east", "south")
            assert {one.value: one.count for one in column.top} == counts.to_dict()
    assert [column.type for column in profile.columns] == ["integer", "number", "text", "boolean"]
    pd.testing.assert_frame_equal(
        read_parquet(tmp_path / "table.parquet"), frame.replace({np.nan: None}).astype(frame.dtypes), check_dtype=False
    )


def test_long_tables_count_as_short_ones_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"a,b\n" + b"".join(f"{number % 37},{number % 5}\n".encode() for number in range(2_000))
    short = _prepare(tmp_path, data).profile
    monkeypatch.setattr("millrace.warehouse.profiling._LONG", 100)
    monkeypatch.setattr("millrace.warehouse.profiling._WIDE", 1)
    assert _prepare(tmp_path, data).profile == short


def test_equal_counts_stand_in_the_order_of_the_values(tmp_path: Path) -> None:
    profile = _prepare(tmp_path, b"a,b\n10,x\n9,x\n2,y\n2,y\n").profile
    assert [(one.value, one.count) for one in profile.columns[0].top] == [("2", 2), ("9", 1), ("10", 1)]


def test_numbers_whose_squares_overflow_have_no_deviation(tmp_path: Path) -> None:
    column = _prepare(tmp_path, b"a,b\n1e308,1\n-1e308,2\n").profile.columns[0]
    assert (column.type, column.stddev) == ("number", None)


def test_long_values_are_cut_in_the_profile_only(tmp_path: Path) -> None:
    prepared = _prepare(tmp_path, b"a,b\n" + b"x" * 2_000 + b",1\ny,2\n")
    assert len(prepared.profile.columns[0].top[0].value) == 500
    assert prepared.profile.columns[0].top[0].value.endswith("…")
    assert read_parquet(prepared.table)["a"][0] == "x" * 2_000


_WORD = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029\x85\ufeff"), min_size=1, max_size=8
).filter(lambda cell: cell.strip() and cell not in ("NA", "N/A", "null", "NULL", "NaN"))


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(
            _WORD,
            st.one_of(st.none(), st.integers(-(10**15), 10**15)),
            st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False, width=32)),
        ),
        min_size=2,
        max_size=30,
    )
)
def test_what_is_written_is_read_back(tmp_path: Path, rows: list[tuple[str, int | None, float | None]]) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
    writer.writerow(["word", "whole", "real"])
    # a word in front keeps words that look like numbers text
    writer.writerow(["word", "", ""])
    writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
    prepared = _prepare(tmp_path, stream.getvalue().encode())

    read = duckdb.sql(f"SELECT * FROM '{prepared.table}'").fetchall()[1:]

    assert [row[0] for row in read] == [row[0] for row in rows]
    if prepared.profile.columns[1].type == "integer":
        assert [row[1] for row in read] == [row[1] for row in rows]
    else:
        assert all(row[1] is None for row in rows)
    if prepared.profile.columns[2].type in ("number", "integer"):
        assert [row[2] for row in read] == [row[2] for row in rows]
    else:
        assert all(row[2] is None for row in rows)


def test_parquet_columns_become_the_warehouses_types(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "small": pa.array([1, None], pa.int8()),
            "unsigned": pa.array([2**63, 1], pa.uint64()),
            "decimal": pa.array(["1.50", "2.25"]).cast(pa.decimal128(10, 2)),
            "float": pa.array([float("nan"), 1.5], pa.float32()),
            "category": pa.array(["x", "y"]).dictionary_encode(),
            "zoned": pa.array([0, 1], pa.timestamp("ms", tz="Europe/Berlin")),
            "day": pa.array([0, None], pa.date32()),
            'odd "name"\n<b>': pa.array([True, None]),
        }
    )
    pq.write_table(table, tmp_path / "upload")
    prepared = prepare(tmp_path / "upload", tmp_path, LIMITS)

    assert prepared.format == "parquet"
    assert [(column.name, column.type) for column in prepared.profile.columns] == [
        ("small", "integer"),
        ("unsigned", "number"),
        ("decimal", "number"),
        ("float", "number"),
        ("category", "text"),
        ("zoned", "timestamp"),
        ("day", "date"),
        ('odd "name"\n<b>', "boolean"),
    ]
    assert prepared.profile.columns[3].null_count == 1
    frame = read_parquet(prepared.table)
    assert frame["zoned"].tolist() == [pd.Timestamp(0), pd.Timestamp(1_000_000)]
    assert frame["decimal"].tolist() == [1.5, 2.25]


@pytest.mark.slow
def test_a_large_file_is_prepared_in_little_memory(tmp_path: Path) -> None:
    import subprocess
    import sys

    rows = 1_000_000
    duckdb.sql(
        f"COPY (SELECT i AS id, random() AS x, md5(CAST(i AS VARCHAR)) AS word, i % 7 AS k FROM range({rows}) t(i)) "
        f"TO '{tmp_path / 'large.csv'}' (HEADER)"
    )
    code = (
        "import sys; from pathlib import Path\n"
        "from millrace.warehouse.prepare import Limits, prepare\n"
        "prepared = prepare(Path(sys.argv[1]), Path(sys.argv[2]), Limits(1 << 34, 4096))\n"
        # ru_maxrss would be that of this process, before it became the other
        "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(prepared.profile.row_count, int(peak.split()[1]) // 1024)\n"
    )
    work = tmp_path / "work"
    work.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "large.csv", work], capture_output=True, text=True, check=True
    )
    counted, megabytes = map(int, done.stdout.split())
    assert counted == rows
    assert megabytes < 300


def test_what_does_not_fit_in_little_memory_gets_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # rows of 400 KB, of which the smallest batch that DuckDB makes does not fit in 20 MB
    data = b"a,b\n" + b"".join(b"%d,%s\n" % (number, bytes([65 + number]) * 400_000) for number in range(25))
    monkeypatch.setattr("millrace.warehouse.duck.BASE_MEMORY_MB", 20)
    assert _prepare(tmp_path, data).profile.row_count == 25

    monkeypatch.setattr("millrace.warehouse.prepare.MEMORY_STEPS", (1,))
    monkeypatch.setattr("millrace.warehouse.duck.BASE_MEMORY_MB", 8)
    with pytest.raises(TooLarge, match="do not fit"):
        _prepare(tmp_path, data)


def test_what_stood_for_a_missing_value_is_counted_by_its_text(tmp_path: Path) -> None:
    cells = ["NA", "NA", "N/A", "", '""', '"NA"', "null", "north", " NA ", "na"]
    ages = ["1", " ", "NaN", "", "2", "3", "4", "5", "6", "7"]
    data = "region,age,full\n" + "\n".join(f"{a},{b},x" for a, b in zip(cells, ages, strict=True)) + "\n"
    columns = {column.name: column for column in _prepare(tmp_path, data.encode()).profile.columns}
    assert columns["region"].missing_as == {"": 2, "N/A": 1, "NA": 3, "null": 1}
    assert columns["region"].null_count == 7
    assert (columns["age"].type, columns["age"].missing_as) == ("integer", {"": 2, "NaN": 1})
    assert columns["full"].missing_as == {}


def test_a_parquet_file_has_missing_values_and_no_words_for_them(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": ["NA", None, "x"], "b": [1.0, np.nan, 3.0]})
    frame.to_parquet(tmp_path / "upload")
    columns = prepare(tmp_path / "upload", tmp_path, LIMITS).profile.columns
    assert [column.missing_as for column in columns] == [{"": 1}, {"": 1}]
    assert columns[0].distinct_count == 2


def test_words_for_missing_values_are_counted_in_every_column_of_a_wide_file(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(40)]
    rows = [["NA" if number % 7 == row else "v" for number in range(40)] for row in range(7)]
    stream = io.StringIO()
    csv.writer(stream).writerows([names, *rows])
    columns = _prepare(tmp_path, stream.getvalue().encode()).profile.columns
    assert [column.missing_as for column in columns] == [{"NA": 1}] * 40
