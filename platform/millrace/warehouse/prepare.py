"""From bytes as they came to typed Parquet and a profile."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from millrace.contracts.errors import BadInput, TooLarge, UnsupportedFormat
from millrace.warehouse.column_names import checked_names
from millrace.warehouse.csv_rows import MISSING_TOKENS, load_rows, missing_words
from millrace.warehouse.disk import require_room
from millrace.warehouse.duck import BASE_MEMORY_MB, MEMORY_STEPS, connect, identifier, literal, row_group_size
from millrace.warehouse.encoding import encoding_of, to_utf8
from millrace.warehouse.gunzip import gunzip
from millrace.warehouse.infer import readings_of, typed_expression
from millrace.warehouse.magic import HEAD_BYTES, recognise
from millrace.warehouse.parquet_rows import load_parquet, parquet_columns
from millrace.warehouse.profile import Profile
from millrace.warehouse.profiling import profile_table
from millrace.warehouse.sniff import DELIMITER_NAMES, sniff

log = logging.getLogger(__name__)

Format = Literal["csv", "parquet"]

MIN_ROWS = 2
"""One row can neither be compared nor split."""


@dataclass(frozen=True)
class Limits:
    """What a file may grow to."""

    max_decompressed_bytes: int
    max_columns: int


@dataclass(frozen=True)
class Prepared:
    """A table read from an upload. `table` lies in the work folder."""

    table: Path
    format: Format
    profile: Profile
    meta: dict[str, Any]
    """Sniffed encoding, delimiter, header, compression and what was taken for missing."""


def prepare(source: Path, work: Path, limits: Limits) -> Prepared:
    """The table and its profile; all files that are made lie in the work folder, which the caller removes.

    Raises:
        BadInput: the file cannot be a data set; names the line or column and the remedy.
        UnsupportedFormat: it is neither CSV nor Parquet.
        TooLarge: it unpacks to more than a limit allows.
        InsufficientStorage: the disk has no room for the work.
    """
    with source.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if not head:
        raise _empty()
    kind, compression = recognise(head), None
    if kind == "gzip":
        compression = "gzip"
        unpacked = work / "unpacked"
        gunzip(source, unpacked, max_bytes=limits.max_decompressed_bytes)
        source = unpacked
        with source.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
        if not head:
            raise _empty()
        kind = recognise(head)
        if kind == "gzip":
            raise UnsupportedFormat("the file is gzip within gzip", field="file", remedy="compress it once")
    import duckdb

    run = _prepare_parquet if kind == "parquet" else _prepare_csv
    for step in MEMORY_STEPS:
        try:
            return run(source, work, limits, compression, step)
        except (duckdb.OutOfMemoryException, duckdb.TransactionException):
            # out of memory while it commits is the second kind
            log.info("prepare.out_of_memory step=%d bytes=%d", step, source.stat().st_size)
    raise TooLarge(
        f"the file's rows do not fit in {MEMORY_STEPS[-1] * BASE_MEMORY_MB:,} MB of memory",
        field="file",
        remedy="shorten its longest texts, or send fewer columns",
    )


def _prepare_csv(source: Path, work: Path, limits: Limits, compression: str | None, step: int) -> Prepared:
    require_room(work, 2 * source.stat().st_size)
    encoding = encoding_of(source)
    if encoding != "utf-8":
        plain = work / "plain.csv"
        to_utf8(source, plain, encoding)
        source = plain
    dialect = sniff(source)
    names = checked_names(dialect.names, max_columns=limits.max_columns)
    columns = len(names)
    with connect(work, columns=columns, step=step) as connection:
        rows = load_rows(connection, source, dialect, table="raw")
        _check_rows(rows, header=dialect.header)
        readings = readings_of(connection, "raw", columns=columns, decimal_comma=dialect.delimiter != ",")
        expressions = [typed_expression(f"c{position}", reading) for position, reading in enumerate(readings)]
        table = work / "table.parquet"
        _write(connection, table, names=names, expressions=expressions, row_bytes=source.stat().st_size // rows)
        words = missing_words(connection, "raw", columns=columns)
        connection.execute("DROP TABLE raw")
        types = [reading.type for reading in readings]
        profile = profile_table(connection, table, names=names, types=types, words=words)
    meta = {
        "encoding": encoding,
        "delimiter": dialect.delimiter,
        "delimiter_name": DELIMITER_NAMES[dialect.delimiter],
        "header": dialect.header,
        "decimal": "," if any(reading.decimal_comma for reading in readings) else ".",
        "compression": compression,
        "missing": list(MISSING_TOKENS),
    }
    return Prepared(table, "csv", profile, meta)


def _prepare_parquet(source: Path, work: Path, limits: Limits, compression: str | None, step: int) -> Prepared:
    import duckdb

    with connect(work, columns=64) as connection:
        names, readings, rows = parquet_columns(
            connection, source, max_columns=limits.max_columns, max_bytes=limits.max_decompressed_bytes
        )
    _check_rows(rows, header=True)
    require_room(work, source.stat().st_size)
    with connect(work, columns=len(names), step=step) as connection:
        load_parquet(connection, source, columns=len(names), table="raw")
        table = work / "table.parquet"
        expressions = [reading.value.replace("{x}", f"c{position}") for position, reading in enumerate(readings)]
        try:
            _write(connection, table, names=names, expressions=expressions, row_bytes=source.stat().st_size // rows)
        except duckdb.InvalidInputException as error:
            raise BadInput(
                f"the Parquet file cannot be used: {str(error).splitlines()[0][:300]}",
                field="file",
                remedy="write the file again without infinite or damaged values",
            ) from error
        types = [reading.type for reading in readings]
        profile = profile_table(connection, table, names=names, types=types, words=[{}] * len(names))
    return Prepared(table, "parquet", profile, {"compression": compression})


def _write(connection: Any, table: Path, *, names: tuple[str, ...], expressions: list[str], row_bytes: int) -> None:
    selected = ", ".join(
        f"{expression} AS {identifier(name)}" for name, expression in zip(names, expressions, strict=True)
    )
    # every column is read, so there is nothing to optimise; with 4,096 of them the optimiser takes minutes
    connection.execute("PRAGMA disable_optimizer")
    connection.execute(
        f"COPY (SELECT {selected} FROM raw) TO {literal(str(table))} "
        f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {row_group_size(len(names), row_bytes)})"
    )
    connection.execute("PRAGMA enable_optimizer")


def _check_rows(rows: int, *, header: bool) -> None:
    if rows >= MIN_ROWS:
        return
    what = "a header and no rows" if rows == 0 and header else "no rows" if rows == 0 else "one row only"
    raise BadInput(
        f"the file has {what}", field="file", remedy=f"a data set needs at least {MIN_ROWS} rows below the header"
    )


def _empty() -> BadInput:
    return BadInput("the file is empty", field="file", remedy="send a file with a header and at least two rows")
