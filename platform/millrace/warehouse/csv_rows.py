"""Rows of a CSV file as text in a DuckDB table, or the line that cannot be read."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Final

from millrace.contracts.errors import BadInput
from millrace.warehouse.duck import BUFFER_BYTES, CHUNK, internal_names, literal
from millrace.warehouse.sniff import DELIMITER_NAMES, MAX_FIELD_CHARACTERS, Dialect

if TYPE_CHECKING:
    import duckdb

MISSING_TOKENS: Final = ("", "NA", "N/A", "null", "NULL", "NaN")
"""Cells that stand for a missing value, quoted or not."""
_WORDS: Final = tuple(sorted(token for token in MISSING_TOKENS if token))
_SQL_WORDS: Final = ", ".join(literal(word) for word in _WORDS)


def load_rows(connection: "duckdb.DuckDBPyConnection", path: Path, dialect: Dialect, *, table: str) -> int:
    """Creates the table with columns c0, c1, … as text, in the file's order, and gives the number of rows.

    Empty cells are NULL; the words that stand for a missing value are still there: see `known` and `missing_words`.

    Raises:
        BadInput: a row with too few or too many cells, or a quote that is not closed; names the line.
    """
    import duckdb

    try:
        connection.execute(_create(path, dialect, table))
    except duckdb.InvalidInputException as error:
        first = first_broken_row(path, dialect)
        if first is not None:
            raise first from error
        plain = _one_line_end(path)
        if plain is None:
            raise BadInput(
                f"the file cannot be read as CSV: {_reason(error)}",
                field="file",
                remedy="put cells that hold quotes, delimiters or line ends in quotes; double the quotes in them",
            ) from error
        connection.execute(_create(plain, dialect, table))
    counted = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(counted[0]) if counted else 0


def known(name: str) -> str:
    """The column's text as SQL, NULL for the words that stand for a missing value."""
    return f"CASE WHEN {name} IN ({_SQL_WORDS}) THEN NULL ELSE {name} END"


def missing_words(connection: "duckdb.DuckDBPyConnection", table: str, *, columns: int) -> list[dict[str, int]]:
    """For each column the words that stand for a missing value, and how many cells say them."""
    names = internal_names(columns)
    some = _counts(connection, table, [(name, f"IN ({_SQL_WORDS})") for name in names])
    asked = [(name, f"= {literal(word)}") for name in names if some[name, f"IN ({_SQL_WORDS})"] for word in _WORDS]
    counts = _counts(connection, table, asked)
    return [
        {word: cells for word in _WORDS if (cells := counts.get((name, f"= {literal(word)}"), 0))} for name in names
    ]


def _counts(
    connection: "duckdb.DuckDBPyConnection", table: str, asked: list[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    """(column, condition) → cells that fulfil it. A histogram of each column would take several times as long."""
    found: dict[tuple[str, str], int] = {}
    for start in range(0, len(asked), CHUNK):
        part = asked[start : start + CHUNK]
        filters = ", ".join(f"count(*) FILTER ({name} {condition})" for name, condition in part)
        row = connection.execute(f"SELECT {filters} FROM {table}").fetchone()
        found |= dict(zip(part, row or (), strict=True))
    return found


def first_broken_row(path: Path, dialect: Dialect) -> BadInput | None:
    """What is wrong with the first row whose number of cells differs from the header's; None when no row's does."""
    width = len(dialect.names)
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.reader(stream, delimiter=dialect.delimiter, strict=True)
        line = 1
        try:
            for row in reader:
                # one empty cell too many is a delimiter at the end of the line, which DuckDB takes
                if row and len(row) != width and not (len(row) == width + 1 and not row[-1]):
                    return _ragged(line, len(row), width, dialect)
                line = reader.line_num + 1
        except csv.Error as error:
            return BadInput(
                f"line {line} cannot be read: {error}",
                field="file",
                remedy="close every quote, and double the quotes inside quoted cells",
            )
    return None


def _ragged(line: int, found: int, width: int, dialect: Dialect) -> BadInput:
    return BadInput(
        f"line {line} has {found} cells, and the first row has {width}",
        field="file",
        remedy=f"give every line {width} cells; put a cell that holds a {DELIMITER_NAMES[dialect.delimiter]} in quotes",
    )


def _create(path: Path, dialect: Dialect, table: str) -> str:
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in internal_names(len(dialect.names)))
    return (
        f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM read_csv({literal(str(path))}, auto_detect = false, "
        f"header = {str(dialect.header).lower()}, delim = {literal(dialect.delimiter)}, quote = '\"', escape = '\"', "
        f"columns = {{{columns}}}, nullstr = [''], allow_quoted_nulls = true, null_padding = false, "
        f"strict_mode = true, buffer_size = {BUFFER_BYTES})"
    )


def _one_line_end(path: Path) -> Path | None:
    # DuckDB wants one kind of line end; a file put together from two systems has both
    target = path.with_name("one-line-end.csv")
    mixed = False
    with path.open("rb") as source, target.open("wb") as output:
        for line in source:
            mixed = mixed or not line.endswith(b"\r\n")
            output.write(line[:-2] + b"\n" if line.endswith(b"\r\n") else line)
    return target if mixed else None


def _reason(error: Exception) -> str:
    return " ".join(line for line in str(error).splitlines()[:1] if line)[:300]
