"""DuckDB within bounds: little memory, its spill and its database in the work folder, nothing from outside."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import duckdb

BASE_MEMORY_MB: Final = 64
"""Measured: a CSV of 500 MB then peaks at 165 MB resident, DuckDB's code and parser buffers included; with the API's
120 MB that stays below 300. Long texts may need more: see MEMORY_STEPS."""
MEMORY_STEPS: Final = (1, 4, 16)
"""Factors of the base: what does not fit is tried again with the next."""
THREADS: Final = 1
"""A second one is 10 % faster on two cores and takes 40 MB more."""
BUFFER_BYTES: Final = 8_000_000
"""The CSV parser's; DuckDB's own is 32 MB. Above its longest line of 2 MiB."""
MEMORY_KB_A_COLUMN: Final = 256
"""A Parquet writer keeps a page for every column; 4,096 columns do not fit in the base."""
GROUP_BYTES: Final = 16 << 20
"""A Parquet row group's text, about; the writer holds twice that."""
CHUNK: Final = 16
"""Columns in one query: an aggregate over all of 4,096 takes gigabytes."""


@contextmanager
def connect(work: Path, *, columns: int, step: int = 1) -> Iterator["duckdb.DuckDBPyConnection"]:
    """A connection on a new database in the folder, for tables of about that many columns.

    `step` multiplies the memory that it may take. Work that needs more raises duckdb.OutOfMemoryException.
    """
    import duckdb

    database = work / "work.duckdb"
    connection = duckdb.connect(
        str(database),
        config={
            "memory_limit": f"{step * BASE_MEMORY_MB + columns * MEMORY_KB_A_COLUMN // 1024}MB",
            "threads": str(THREADS),
            "temp_directory": str(work / "spill"),
            "preserve_insertion_order": "true",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "checkpoint_threshold": "32MB",
        },
    )
    try:
        connection.execute("SET enable_progress_bar = false")
        yield connection
    finally:
        connection.close()
        database.unlink(missing_ok=True)


def identifier(name: str) -> str:
    """The name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """The text as a SQL string."""
    return "'" + text.replace("'", "''") + "'"


def internal_names(count: int) -> list[str]:
    """Names that columns have while they are worked on: whatever the user's names are, these are safe."""
    return [f"c{position}" for position in range(count)]


def row_group_size(columns: int, row_bytes: int) -> int:
    """Rows in a Parquet row group, which is held in memory: 122,880 (DuckDB's own), fewer for wide or long rows."""
    return max(2_048, min(122_880, 4_000_000 // columns, GROUP_BYTES // max(1, row_bytes)))
