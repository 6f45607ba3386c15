"""Scored events as Parquet parts: named by offset range, listed in a manifest, readable at any moment.

Read them through the manifest, in DuckDB: `SET VARIABLE parts = (SELECT list(path) FROM 'manifest.json'); SELECT * FROM
read_parquet(getvariable('parts'))`. A glob over the folder sees rows twice for a moment while parts are compacted.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millrace.streams.sinks.files import only_writer, sync_folder
from millrace.streams.sinks.manifest import Describe, Manifest, Part, adopt
from millrace.streams.sinks.sink import OnStep, Positions, Row

if TYPE_CHECKING:
    import pyarrow as pa

ROLL_ROWS = 100_000
"""Of a part; about 10 MB of short texts."""
ROLL_SECONDS = 10.0
"""After which a part is closed however few rows it has: what queries lag behind at most."""
COMPACT_PARTS = 16
"""Small parts of one partition that are put together into one."""
COMPACT_ROWS = 400_000
"""Most rows of a compacted part, which is made in memory."""
GRACE_SECONDS = 60.0
"""How long a part stays after the manifest has left it: queries that began before still read it."""


class ParquetSink:
    """Writes parts into `folder`."""

    def __init__(
        self,
        folder: Path,
        *,
        roll_rows: int = ROLL_ROWS,
        roll_seconds: float = ROLL_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
        on_step: OnStep = lambda _: None,
    ) -> None:
        """Opens the folder and mends what a crash left.

        Raises:
            Conflict: another process writes the folder.
        """
        self.folder = folder
        self._roll_rows, self._roll_seconds, self._grace = roll_rows, roll_seconds, grace_seconds
        self._on_step = on_step
        self._held = ExitStack()
        self._held.enter_context(only_writer(folder / ".lock"))
        self.manifest = Manifest(folder)
        adopt(folder, self.manifest, describe=Describe())
        self._positions = Positions()
        self._starts: dict[int, int] = {}
        self._rows: dict[int, list[Row]] = {}
        self._since = time.monotonic()
        self._left: list[tuple[float, Path]] = []
        self.rows = 0
        """Rows made durable since this sink was opened."""

    def positions(self, topic_id: str) -> Mapping[int, int]:
        """Next offset wanted of each partition."""
        if topic_id != self._positions.topic_id:
            self._positions = Positions(topic_id, self.manifest.offsets(topic_id))
            self._starts = dict(self._positions.offsets)
            self._rows = {}
        return self._positions.of(topic_id)

    def take(self, rows: Sequence[Row], ends: Mapping[int, int]) -> None:
        """Accepts rows; they can be queried when their part is closed."""
        for row in self._positions.fresh(rows):
            self._rows.setdefault(row.partition, []).append(row)
        self._positions.advance(ends)

    def settle(self, *, whole: bool) -> None:
        """Closes parts that are full, or all when their time is over; then compacts."""
        due = whole or time.monotonic() - self._since >= self._roll_seconds
        for partition in sorted(self._rows):
            if self._rows[partition] and (due or len(self._rows[partition]) >= self._roll_rows):
                self._close_part(partition)
        if due:
            self._since = time.monotonic()
        self._compact()
        self._remove_left()

    def close(self) -> None:
        """Frees the folder; rows of parts that were not closed are read again."""
        self._held.close()

    def _close_part(self, partition: int) -> None:
        rows, topic_id = self._rows.pop(partition), self._positions.topic_id
        assert topic_id is not None
        end = self._positions.offsets[partition]
        part = Part(topic_id, partition, self._starts.get(partition, 0), end, len(rows))
        self._write(_table(rows), part, "parquet")
        self._starts[partition] = end
        self.rows += len(rows)

    def _write(self, table: "pa.Table", part: Part, step: str, *, replaces: Sequence[Part] = ()) -> None:
        import os
        from dataclasses import replace

        import pyarrow.parquet as pq

        draft = self.folder / f".{part.name}.tmp"
        pq.write_table(table, draft, compression="zstd")
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        self._on_step(f"{step}.drafted")
        size = draft.stat().st_size
        os.replace(draft, self.folder / part.name)
        sync_folder(self.folder)
        self._on_step(f"{step}.renamed")
        self.manifest.change(add=[replace(part, size_bytes=size)], remove=replaces)
        self._on_step(f"{step}.recorded")

    def _compact(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        for run in compactable(self.manifest.parts):
            table = pa.concat_tables([pq.read_table(self.folder / part.name, partitioning=None) for part in run])
            whole = Part(run[0].topic_id, run[0].partition, run[0].start, run[-1].end, table.num_rows)
            self._write(table, whole, "compact", replaces=run)
            now = time.monotonic()
            self._left += [(now + self._grace, self.folder / part.name) for part in run]

    def _remove_left(self) -> None:
        now = time.monotonic()
        for due, path in self._left:
            if due <= now:
                path.unlink(missing_ok=True)
        self._left = [(due, path) for due, path in self._left if due > now]


def compactable(parts: Sequence[Part]) -> list[tuple[Part, ...]]:
    """Runs of small parts that follow on each other within a partition, long enough to be worth one file."""
    found: list[tuple[Part, ...]] = []
    run: list[Part] = []
    for part in parts:
        before = (run[-1].topic_id, run[-1].partition, run[-1].end) if run else None
        follows = before == (part.topic_id, part.partition, part.start)
        if not follows or sum(one.rows for one in run) + part.rows > COMPACT_ROWS:
            run = []
        run = [*run, part] if part.rows <= COMPACT_ROWS // COMPACT_PARTS else []
        if len(run) == COMPACT_PARTS:
            found.append(tuple(run))
            run = []
    return found


def _table(rows: Sequence[Row]) -> "pa.Table":
    import pyarrow as pa

    kinds: dict[str, Any] = {"partition": pa.int32(), "offset": pa.int64(), "sentiment_score": pa.float64()}
    names = Row.__dataclass_fields__
    columns = {name: pa.array([getattr(row, name) for row in rows], kinds.get(name, pa.string())) for name in names}
    return pa.table(columns)
