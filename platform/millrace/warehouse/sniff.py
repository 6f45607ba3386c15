"""Delimiter and header of a CSV file, from its beginning."""

import csv
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from millrace.contracts.errors import BadInput

Delimiter = Literal[",", ";", "\t"]
DELIMITERS: Final[tuple[Delimiter, ...]] = (",", ";", "\t")
DELIMITER_NAMES: Final[dict[str, str]] = {",": "comma", ";": "semicolon", "\t": "tab"}

SAMPLE_CHARACTERS: Final = 1 << 20
SAMPLE_ROWS: Final = 1_000
MAX_FIELD_CHARACTERS: Final = 2_000_000
"""Largest cell; DuckDB's largest line is 2,097,152 bytes."""

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)*|[.,]\d+)([eE][+-]?\d+)?")
_YEAR = re.compile(r"(19|20)\d\d")

Row = list[str]


@dataclass(frozen=True)
class Dialect:
    """How the file is written. Without a header the names are column_1, column_2, …"""

    delimiter: Delimiter
    header: bool
    names: tuple[str, ...]


def sniff(path: Path) -> Dialect:
    """The dialect of a UTF-8 text file; the names are as they stand there.

    Raises:
        BadInput: the file is empty, or has one column only.
    """
    rows_by: dict[Delimiter, list[Row]] = {delimiter: _sample(path, delimiter) for delimiter in DELIMITERS}
    if not rows_by[","]:
        raise BadInput("the file is empty", field="file", remedy="send a file with a header and at least two rows")
    delimiter = max(DELIMITERS, key=lambda one: _fitness(rows_by[one]))
    rows = rows_by[delimiter]
    if len(rows[0]) < 2:
        raise BadInput(
            f"the file has one column only ({rows[0][0][:60]!r})",
            field="file",
            remedy="separate the columns by comma, semicolon or tab; a data set needs at least two",
        )
    header = has_header(rows)
    names = tuple(rows[0]) if header else tuple(f"column_{number}" for number in range(1, len(rows[0]) + 1))
    return Dialect(delimiter, header, names)


def has_header(rows: list[Row]) -> bool:
    """Whether the first row names the columns.

    A column of numbers whose first cell is a word says yes, one whose first cell is a number too says no; years are
    names as often as numbers and say nothing. A file whose columns say nothing has a header.
    """
    first, body = rows[0], rows[1:]
    for_it = against = 0
    for position, name in enumerate(first):
        cells = [row[position] for row in body if len(row) > position and row[position].strip()]
        if not cells or not all(_is_number(cell) for cell in cells):
            continue
        if not _is_number(name):
            for_it += 1
        elif not _YEAR.fullmatch(name.strip()):
            against += 1
    return for_it > 0 or against == 0


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell.strip()) is not None


def _sample(path: Path, delimiter: Delimiter) -> list[Row]:
    rows: list[Row] = []
    taken = 0
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            for row in csv.reader(stream, delimiter=delimiter):
                if any(row):
                    rows.append(row)
                taken += sum(map(len, row)) + len(row)
                if len(rows) >= SAMPLE_ROWS or taken >= SAMPLE_CHARACTERS:
                    break
    except csv.Error:
        # a cell that never ends under this delimiter: what came before it is what there is to judge by
        return rows
    return rows


def _fitness(rows: list[Row]) -> tuple[bool, float, int]:
    # more than one column, then rows as wide as the first, then the width
    if not rows:
        return False, 0.0, 0
    width = len(rows[0])
    same = Counter(len(row) for row in rows)[width] / len(rows)
    return width > 1, round(same, 2), width
