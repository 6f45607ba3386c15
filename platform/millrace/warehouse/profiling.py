"""Computes the profile of a typed Parquet file."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from millrace.warehouse.duck import CHUNK, internal_names, literal
from millrace.warehouse.profile import TOP_VALUES, ColumnProfile, ColumnType, Profile, ValueCount

if TYPE_CHECKING:
    import duckdb

MAX_SHOWN_CHARACTERS: Final = 500
"""Longer values are cut in the profile, and end with '…' there."""
_WIDE: Final = 256
"""Columns from which reading the file's metadata for every query costs more than a copy of the table."""
_LONG: Final = 200_000
"""Rows from which the groups of a column are kept in a table of their own, which costs some milliseconds."""


def profile_table(
    connection: "duckdb.DuckDBPyConnection",
    path: Path,
    *,
    names: Sequence[str],
    types: Sequence[ColumnType],
    words: Sequence[Mapping[str, int]],
) -> Profile:
    """The profile of a typed Parquet file whose columns are those names and types, in that order.

    `words` are those that stood for a missing value in each column of the file, with the cells that said them.
    """
    _expose(connection, path, len(names))
    (rows,) = _one(connection, "SELECT count(*) FROM typed")
    ranges = _ranges(connection, types)
    columns = []
    for position, (name, kind) in enumerate(zip(names, types, strict=True)):
        present, low, high, mean, spread = ranges[position]
        distinct, top = _values(connection, f"c{position}", rows)
        columns.append(
            ColumnProfile(
                name=name,
                type=kind,
                null_count=rows - present,
                missing_as=_missing_as(rows - present, words[position]),
                distinct_count=distinct,
                minimum=_shown(low),
                maximum=_shown(high),
                mean=_finite(mean),
                stddev=_finite(spread),
                top=top,
            )
        )
    return Profile(columns=tuple(columns), row_count=rows, duplicate_rows=_duplicates(connection, len(names), rows))


def _missing_as(missing: int, words: Mapping[str, int]) -> dict[str, int]:
    empty = missing - sum(words.values())
    return {**({"": empty} if empty else {}), **words}


def _expose(connection: Any, path: Path, columns: int) -> None:
    kind = "TABLE" if columns > _WIDE else "VIEW"
    aliases = ", ".join(internal_names(columns))
    source = f"read_parquet({literal(str(path))}) AS source({aliases})"
    connection.execute(f"CREATE OR REPLACE {kind} typed AS SELECT * FROM {source}")


def _ranges(connection: Any, types: Sequence[ColumnType]) -> list[tuple[Any, ...]]:
    import duckdb

    found: list[tuple[Any, ...]] = []
    for start in range(0, len(types), CHUNK):
        part = range(start, min(start + CHUNK, len(types)))
        try:
            values = _one(connection, f"SELECT {', '.join(_range(one, types[one]) for one in part)} FROM typed")
        except duckdb.OutOfRangeException:
            # the squares of numbers near 1e308 have no float: such columns get no mean and no deviation
            values = _one(connection, f"SELECT {', '.join(_range(one, 'text') for one in part)} FROM typed")
        found += [tuple(values[5 * index : 5 * index + 5]) for index in range(len(part))]
    return found


def _range(position: int, kind: ColumnType) -> str:
    c = f"c{position}"
    moments = f"avg({c}), stddev_samp({c})" if kind in ("integer", "number") else "NULL, NULL"
    return f"count({c}), CAST(min({c}) AS VARCHAR), CAST(max({c}) AS VARCHAR), {moments}"


def _values(connection: Any, column: str, rows: int) -> tuple[int, tuple[ValueCount, ...]]:
    groups = f"SELECT {column} AS v, count(*) AS n FROM typed WHERE {column} IS NOT NULL GROUP BY ALL"
    if rows > _LONG:
        # grouping spills to disk where it must, as neither a window over the groups nor a distinct count does
        connection.execute(f"CREATE OR REPLACE TEMP TABLE groups AS {groups}")
        groups, distinct = "SELECT * FROM groups", "(SELECT count(*) FROM groups)"
    else:
        distinct = "count(*) OVER ()"
    found = connection.execute(
        f"SELECT CAST(v AS VARCHAR), n, {distinct} FROM ({groups}) ORDER BY n DESC, v LIMIT {TOP_VALUES}"
    ).fetchall()
    top = tuple(ValueCount(value=_shown(value) or "", count=count) for value, count, _ in found)
    return (found[0][2] if found else 0), top


def _duplicates(connection: Any, columns: int, rows: int) -> int:
    # 64-bit hashes of rows: with 10 million rows, the chance that two different ones meet is 3 in a million
    hashed = f"hash({', '.join(internal_names(columns))})"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE groups AS SELECT {hashed} AS v FROM typed GROUP BY ALL")
    (different,) = _one(connection, "SELECT count(*) FROM groups")
    connection.execute("DROP TABLE groups")
    return rows - int(different)


def _finite(value: float | None) -> float | None:
    # JSON carries neither NaN nor infinity
    return value if value is not None and math.isfinite(value) else None


def _shown(value: str | None) -> str | None:
    if value is None or len(value) <= MAX_SHOWN_CHARACTERS:
        return value
    return value[: MAX_SHOWN_CHARACTERS - 1] + "…"


def _one(connection: Any, query: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] = connection.execute(query).fetchone()
    return row
