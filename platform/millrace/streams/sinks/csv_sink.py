"""Scored events as a CSV file that grows: complete lines only, each event once, whatever is killed on the way.

The file's length and the offsets that it covers are recorded in a second file after each append. What stands behind
the recorded length after a crash is cut off and read again.
"""

import csv
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from millrace.contracts.errors import IntegrityBroken
from millrace.streams.sinks.files import only_writer, write_whole
from millrace.streams.sinks.sink import OnStep, Positions, Row

FILE_NAME = "ai_kafka_results.csv"
COLUMNS = ("event_id", "ts", "user_id", "channel", "lang", "text", "sentiment", "sentiment_score", "ai_model", "ai_ts")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the beginning of a formula, or drops before one (OWASP, CSV injection)."""
_FORMAT = 1


class CsvSink:
    """Appends to `path`; the file beside it with `.position.json` at the end belongs to it."""

    def __init__(self, path: Path, *, on_step: OnStep = lambda _: None) -> None:
        """Opens both, and cuts off what was not recorded.

        Raises:
            Conflict: another process writes the file.
            IntegrityBroken: the file is shorter than what was recorded of it.
        """
        self.path = path
        self._record = path.with_name(path.name + ".position.json")
        self._on_step = on_step
        self._lines: list[str] = []
        self._settled: tuple[str | None, dict[int, int]] | None = None
        self._held = ExitStack()
        self._held.enter_context(only_writer(path.with_name(f".{path.name}.lock")))
        try:
            self._positions, self._size = self._recorded()
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._held.callback(os.close, self._file)
            self._begin()
        except BaseException:
            self._held.close()
            raise
        self.rows = 0
        """Rows made durable since this sink was opened."""

    def positions(self, topic_id: str) -> Mapping[int, int]:
        """Next offset wanted of each partition."""
        return self._positions.of(topic_id)

    def take(self, rows: Sequence[Row], ends: Mapping[int, int]) -> None:
        """Accepts rows; they are in the file after the next `settle`."""
        self._lines += [_line(row) for row in self._positions.fresh(rows)]
        self._positions.advance(ends)

    def settle(self, *, whole: bool) -> None:
        """Appends what was accepted and records how far the file reaches."""
        if self._settled == (self._positions.topic_id, self._positions.offsets):
            return
        data = "".join(self._lines).encode("utf-8")
        count, self._lines = len(self._lines), []
        _append(self._file, data, at=self._size)
        os.fsync(self._file)
        self._on_step("csv.appended")
        self._size += len(data)
        self._write_record()
        self._on_step("csv.recorded")
        self._settled = (self._positions.topic_id, dict(self._positions.offsets))
        self.rows += count

    def close(self) -> None:
        """Closes the file; what was not settled is read again."""
        self._held.close()

    def _recorded(self) -> tuple[Positions, int]:
        if not self._record.exists():
            return Positions(), 0
        told = json.loads(self._record.read_bytes())
        offsets = {int(partition): end for partition, end in told["offsets"].items()}
        return Positions(told["topic_id"], offsets), told["size"]

    def _begin(self) -> None:
        there = os.fstat(self._file).st_size
        if there < self._size:
            raise IntegrityBroken(
                f"{self.path} has {there} bytes, {self._size} were written",
                field="csv",
                remedy=f"put the file back, or remove {self._record} too: all events that Kafka still has are then "
                "written anew",
            )
        if self._size == 0 and there and not self._record.exists():
            raise IntegrityBroken(
                f"{self.path} is there and nothing is recorded of it",
                field="csv",
                remedy="name another file, or move this one away",
            )
        os.ftruncate(self._file, self._size)
        if self._size == 0:
            # recorded before the first byte: a crash behind it leaves a file that is known
            self._write_record()
            header = (",".join(COLUMNS) + "\r\n").encode()
            _append(self._file, header, at=0)
            os.fsync(self._file)
            self._size = len(header)
            self._write_record()

    def _write_record(self) -> None:
        told = {
            "format": _FORMAT, "size": self._size, "topic_id": self._positions.topic_id,
            "offsets": {str(partition): end for partition, end in sorted(self._positions.offsets.items())},
        }  # fmt: skip
        write_whole(self._record, json.dumps(told).encode())


def neutral(cell: str) -> str:
    """The cell with an apostrophe before what a spreadsheet would take for a formula, and without NULs."""
    cell = cell.replace("\0", "")
    return "'" + cell if cell.startswith(_FORMULA) else cell


def _line(row: Row) -> str:
    target = io.StringIO()
    cells = [getattr(row, column) for column in COLUMNS]
    csv.writer(target).writerow([neutral(cell) if isinstance(cell, str) else cell for cell in cells])
    return target.getvalue()


def _append(descriptor: int, data: bytes, *, at: int, write: Callable[[int, bytes, int], int] = os.pwrite) -> None:
    view = memoryview(data)
    while len(view):
        written = write(descriptor, view, at)  # type: ignore[arg-type]
        view, at = view[written:], at + written
