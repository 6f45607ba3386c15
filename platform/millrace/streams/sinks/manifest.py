"""Which Parquet parts there are, and which offsets each holds."""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import quote, unquote

from millrace.contracts.errors import IntegrityBroken
from millrace.streams.sinks.files import write_whole

FILE_NAME = "manifest.json"
_NAME = re.compile(r"^(?P<id>[A-Za-z0-9_.~%-]+)-p(?P<partition>\d{5})-(?P<start>\d{20})-(?P<end>\d{20})\.parquet$")


@dataclass(frozen=True)
class Part:
    """A file with all rows of one partition from offset `start` up to, but not including, `end`."""

    topic_id: str
    partition: int
    start: int
    end: int
    rows: int = 0
    size_bytes: int = 0

    @property
    def name(self) -> str:
        """File name; the same rows have the same. Topic ids are base64, which has slashes."""
        return f"{quote(self.topic_id, safe='')}-p{self.partition:05d}-{self.start:020d}-{self.end:020d}.parquet"


def part_named(name: str) -> Part | None:
    """The part that a file of this name is, without its rows and size; None for another file."""
    found = _NAME.match(name)
    return found and Part(unquote(found["id"]), int(found["partition"]), int(found["start"]), int(found["end"]))


class Manifest:
    """The parts of a folder. The file is replaced whole with each change; `path` of an entry is absolute for DuckDB."""

    def __init__(self, folder: Path) -> None:
        """Reads what is there; nothing is written."""
        self._folder = folder
        self._path = folder / FILE_NAME
        told = json.loads(self._path.read_bytes()) if self._path.exists() else []
        fields = Part.__dataclass_fields__
        self.parts = tuple(Part(**{name: entry[name] for name in fields}) for entry in told)

    def change(self, *, add: Iterable[Part] = (), remove: Iterable[Part] = ()) -> None:
        """Adds and removes parts in one step."""
        gone = {part.name for part in remove}
        kept = [part for part in self.parts if part.name not in gone]
        kept += [part for part in add if part.name not in {one.name for one in kept}]
        self.parts = tuple(sorted(kept, key=lambda part: (part.topic_id, part.partition, part.start)))
        entries = [asdict(part) | {"path": str((self._folder / part.name).absolute())} for part in self.parts]
        write_whole(self._path, ("[" + ",\n".join(map(json.dumps, entries)) + "]\n").encode())

    def offsets(self, topic_id: str) -> dict[int, int]:
        """Next offset of each partition of that topic id."""
        found: dict[int, int] = {}
        for part in self.parts:
            if part.topic_id == topic_id:
                found[part.partition] = max(part.end, found.get(part.partition, 0))
        return found


def adopt(folder: Path, manifest: Manifest, *, describe: "Describe") -> None:
    """Brings folder and manifest together after a crash: drafts and files that the manifest has replaced are removed,
    whole parts that follow on are entered.

    Raises:
        IntegrityBroken: a part that the manifest lists is missing.
    """
    for draft in folder.glob(".*.tmp"):
        draft.unlink()
    lost = [part.name for part in manifest.parts if not (folder / part.name).exists()]
    if lost:
        raise IntegrityBroken(
            f"{len(lost)} parts that {folder / FILE_NAME} lists are not there, the first is {lost[0]}",
            field="parquet",
            remedy="put them back, or remove their entries from the manifest: their rows are then not written again",
        )
    known = {part.name for part in manifest.parts}
    for path in sorted(folder.glob("*.parquet")):
        part = part_named(path.name)
        if part is None or part.name in known:
            continue
        if part.start >= manifest.offsets(part.topic_id).get(part.partition, 0):
            rows, size = describe(path)
            manifest.change(add=[replace(part, rows=rows, size_bytes=size)])
        else:
            # compacted into another, or the compaction did not come to be recorded
            path.unlink()


class Describe:
    """Rows and bytes of a Parquet file."""

    def __call__(self, path: Path) -> tuple[int, int]:
        """(rows, bytes) from the file's footer."""
        import pyarrow.parquet as pq

        return pq.read_metadata(path).num_rows, path.stat().st_size
