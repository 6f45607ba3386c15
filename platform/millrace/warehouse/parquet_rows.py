"""A Parquet file that someone sent: what it may hold, and its columns in the warehouse's own types."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from millrace.contracts.errors import BadInput, TooLarge
from millrace.warehouse.column_names import checked_names
from millrace.warehouse.duck import identifier, literal
from millrace.warehouse.infer import Reading

if TYPE_CHECKING:
    import duckdb

_INTEGERS: Final = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_NUMBERS: Final = ("FLOAT", "DOUBLE", "UBIGINT", "HUGEINT", "UHUGEINT")
_REMEDY = "write the file again with flat columns of numbers, text, booleans, dates or timestamps"


def parquet_columns(
    connection: "duckdb.DuckDBPyConnection", path: Path, *, max_columns: int, max_bytes: int
) -> tuple[tuple[str, ...], list[Reading], int]:
    """Names, readings and number of rows of the file, without reading its rows.

    Raises:
        BadInput: the file is damaged, or a column has a type that is no table's.
        TooLarge: more columns than allowed, or more bytes once unpacked.
    """
    import duckdb

    source = f"read_parquet({literal(str(path))})"
    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
        rows, unpacked = _size(connection, path)
        top = _top_level_names(connection, path)
    except duckdb.Error as error:
        raise BadInput(
            f"the Parquet file cannot be read: {str(error).splitlines()[0][:300]}",
            field="file",
            remedy="write the file again; it may have been cut off on its way",
        ) from error
    names = checked_names(top, max_columns=max_columns)
    # a dictionary page of one value can stand for billions of rows: count cells too
    if max(unpacked, rows * len(names)) > max_bytes:
        raise TooLarge(
            f"the Parquet file unpacks to more than {max_bytes:,} bytes",
            field="file",
            remedy="raise MILLRACE_MAX_DECOMPRESSED_BYTES, or send fewer rows",
        )
    return names, [_reading(name, column[1]) for name, column in zip(names, described, strict=True)], rows


def load_parquet(connection: "duckdb.DuckDBPyConnection", path: Path, *, columns: int, table: str) -> None:
    """Creates a view with columns c0, c1, … on the file's rows, in its order.

    Raises:
        BadInput: the file is damaged.
    """
    described = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({literal(str(path))})").fetchall()
    renamed = ", ".join(f"{identifier(column[0])} AS c{position}" for position, column in enumerate(described))
    connection.execute(f"CREATE OR REPLACE VIEW {table} AS SELECT {renamed} FROM read_parquet({literal(str(path))})")


def _size(connection: Any, path: Path) -> tuple[int, int]:
    (rows,) = connection.execute(
        f"SELECT coalesce(sum(num_rows), 0) FROM parquet_file_metadata({literal(str(path))})"
    ).fetchone()
    (unpacked,) = connection.execute(
        f"SELECT coalesce(sum(total_uncompressed_size), 0) FROM parquet_metadata({literal(str(path))})"
    ).fetchone()
    return int(rows), int(unpacked)


def _top_level_names(connection: Any, path: Path) -> list[str]:
    # DESCRIBE renames columns that come twice; the file's own schema does not. Nested columns are refused by their type
    schema = connection.execute(f"SELECT name, num_children FROM parquet_schema({literal(str(path))})").fetchall()
    names, skip = [], 0
    for name, children in schema[1:]:
        if skip:
            skip += (children or 0) - 1
            continue
        names.append(name)
        skip = children or 0
    return names


def _reading(name: str, sql_type: str) -> Reading:
    finite = f"column {name[:60]!r} holds infinite values"
    if sql_type == "BOOLEAN":
        return Reading("boolean", "", "{x}")
    if sql_type in _INTEGERS:
        return Reading("integer", "", "CAST({x} AS BIGINT)")
    if sql_type in _NUMBERS or sql_type.startswith("DECIMAL"):
        number = "CAST({x} AS DOUBLE)"
        refuse = f"error({literal(finite)})"
        return Reading(
            "number",
            "",
            f"CASE WHEN isnan({number}) THEN NULL WHEN isinf({number}) THEN {refuse} ELSE {number} END",
        )
    if sql_type == "DATE":
        return Reading("date", "", "{x}")
    if sql_type in ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"):
        return Reading("timestamp", "", "CAST({x} AS TIMESTAMP)")
    if sql_type == "TIMESTAMP WITH TIME ZONE":
        return Reading("timestamp", "", "make_timestamp(epoch_us({x}))")
    if sql_type in ("VARCHAR", "UUID", "TIME") or sql_type.startswith("ENUM"):
        return Reading("text", "", "CAST({x} AS VARCHAR)")
    raise BadInput(f"column {name[:60]!r} has type {sql_type[:60]}", field=name[:200], remedy=_REMEDY)
