"""Types of text columns, from every value: a type is taken only when no value speaks against it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from millrace.warehouse.csv_rows import MISSING_TOKENS, known
from millrace.warehouse.duck import CHUNK, internal_names
from millrace.warehouse.profile import ColumnType

if TYPE_CHECKING:
    import duckdb

SAMPLE_ROWS: Final = 200
"""Rows that choose the candidates, each of which is then tried on every row."""


@dataclass(frozen=True)
class Reading:
    """A way to read text. `{x}` in the expressions is the text without spaces around it, NULL where nothing is left."""

    type: ColumnType
    pattern: str
    """Regular expression, for Python and RE2 alike, that every value matches as a whole."""
    value: str
    condition: str = "true"
    """What every value fulfils besides."""
    decimal_comma: bool = False

    @property
    def fits(self) -> str:
        """Whether a value can be read so, as SQL."""
        return f"regexp_full_match({{x}}, '{self.pattern}') AND {self.condition}"


_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_SLASHED = r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}"
_MOMENT = _DAY + r"[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
_OFFSET = r"(Z|[+-][0-9]{2}(:[0-9]{2})?)"


def _date(pattern: str, form: str) -> Reading:
    parsed = f"try_strptime({{x}}, '{form}')"
    return Reading("date", pattern, f"CAST({parsed} AS DATE)", f"{parsed} IS NOT NULL")


_DAY_FIRST = _date(_SLASHED, "%d/%m/%Y")
_MONTH_FIRST = _date(_SLASHED, "%m/%d/%Y")

# numbers with a leading zero or plus sign are codes and telephone numbers, and stay text
READINGS: Final[tuple[Reading, ...]] = (
    Reading("boolean", "(?i:true|false)", "(lower({x}) = 'true')"),
    Reading("integer", r"-?(0|[1-9][0-9]{0,17})", "CAST({x} AS BIGINT)"),
    Reading(
        "number",
        # a float has 15 to 17 digits: longer whole numbers are identifiers, which must not be rounded
        r"-?(0|[1-9][0-9]{0,14}|(0|[1-9][0-9]{0,16})\.[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?",
        "CAST({x} AS DOUBLE)",
        "coalesce(isfinite(TRY_CAST({x} AS DOUBLE)), false)",
    ),
    Reading(
        "number",
        r"-?([1-9][0-9]{0,2}(\.[0-9]{3})+|0|[1-9][0-9]{0,14})(,[0-9]+)?",
        "CAST(replace(replace({x}, '.', ''), ',', '.') AS DOUBLE)",
        decimal_comma=True,
    ),
    _date(_DAY, "%Y-%m-%d"),
    _date(r"[0-9]{4}/[0-9]{2}/[0-9]{2}", "%Y/%m/%d"),
    _date(r"[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{4}", "%d.%m.%Y"),
    _DAY_FIRST,
    _MONTH_FIRST,
    Reading("timestamp", _MOMENT, "CAST({x} AS TIMESTAMP)", "TRY_CAST({x} AS TIMESTAMP) IS NOT NULL"),
    Reading(
        "timestamp",
        _MOMENT + _OFFSET,
        "make_timestamp(epoch_us(CAST({x} AS TIMESTAMPTZ)))",
        "TRY_CAST({x} AS TIMESTAMPTZ) IS NOT NULL",
    ),
)
TEXT: Final = Reading("text", ".*", "{x}")


def readings_of(
    connection: "duckdb.DuckDBPyConnection", table: str, *, columns: int, decimal_comma: bool
) -> list[Reading]:
    """A reading for every column c0, c1, … of the table; text where no other fits all values, or there is none.

    Days and months that the values do not tell apart (03/04/2025 and no day above 12) stay text. Numbers with a
    decimal comma are looked for only where the comma does not separate columns.
    """
    offered = [one for one in READINGS if decimal_comma or not one.decimal_comma]
    sample = connection.execute(f"SELECT * FROM {table} LIMIT {SAMPLE_ROWS}").fetchall()
    candidates = {
        name: [*_fitting(cells, offered), TEXT]
        for name, cells in zip(internal_names(columns), zip(*sample, strict=True), strict=True)
    }
    chosen: dict[str, Reading] = {}
    while pending := {name: kept for name, kept in candidates.items() if name not in chosen}:
        for name, fits in _try_first(connection, table, pending).items():
            if fits:
                chosen[name] = candidates[name][0]
            else:
                candidates[name] = candidates[name][1:]
    _leave_ambiguous_days(connection, table, chosen)
    return [chosen[name] for name in internal_names(columns)]


def typed_expression(name: str, reading: Reading) -> str:
    """The column's value under the reading; a cell of spaces is missing for every type but text."""
    return known(name) if reading is TEXT else reading.value.replace("{x}", _x(name))


def _x(name: str) -> str:
    return f"nullif(trim({known(name)}), '')"


def _fitting(cells: Sequence[str | None], offered: Sequence[Reading]) -> list[Reading]:
    present = {cell.strip() for cell in cells if cell is not None and cell not in MISSING_TOKENS} - {""}
    return [one for one in offered if all(re.fullmatch(one.pattern, cell) for cell in present)]


def _try_first(connection: Any, table: str, pending: dict[str, list[Reading]]) -> dict[str, bool]:
    fits: dict[str, bool] = {name: True for name, kept in pending.items() if kept[0] is TEXT}
    names = [name for name in pending if name not in fits]
    for start in range(0, len(names), CHUNK):
        part = names[start : start + CHUNK]
        checks = [f"{_against(name, pending[name][0])}, count({_x(name)})" for name in part]
        counts = connection.execute(f"SELECT {', '.join(checks)} FROM {table}").fetchone()
        for position, name in enumerate(part):
            against, present = counts[2 * position], counts[2 * position + 1]
            if present == 0:
                pending[name][:] = [TEXT]
            fits[name] = present == 0 or against == 0
    return fits


def _against(name: str, reading: Reading) -> str:
    # a cell where nothing is left speaks neither for nor against
    x = _x(name)
    return f"count(*) FILTER ({x} IS NOT NULL AND NOT ({reading.fits.replace('{x}', x)}))"


def _leave_ambiguous_days(connection: Any, table: str, chosen: dict[str, Reading]) -> None:
    for name, reading in chosen.items():
        if reading is _DAY_FIRST:
            (against,) = connection.execute(f"SELECT {_against(name, _MONTH_FIRST)} FROM {table}").fetchone()
            if against == 0:
                chosen[name] = TEXT
