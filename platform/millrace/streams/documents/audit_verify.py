"""Whether an audit trail is what was written: every byte, every entry, up to its anchor."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from millrace.contracts.errors import IntegrityBroken, NotFound
from millrace.streams.documents.audit import read_anchor
from millrace.streams.documents.audit_entries import NOTHING, Head, read_line

LIMITS = (
    "The chain shows that a byte was changed, an entry removed, added or moved, and with the anchor that the end was "
    "cut off; the anchor follows the trail within a second. Whoever can write both can make a new chain of their own: "
    "against that, keep the anchor where the processor's user alone can write it, or give --head with the header "
    "millrace-audit of a result. Entries behind the anchor are only as sure as the disk: the last ones before a power "
    "cut may be lost, but no result leaves before its entries are on the disk. A request that was under way when its "
    "process was killed has no entry."
)
_MOST_FAILURES = 20


@dataclass(frozen=True)
class Failure:
    """Something that is not what was written; `line` counts from 1, None for the whole."""

    line: int | None
    what: str

    def __str__(self) -> str:
        return self.what if self.line is None else f"line {self.line}: {self.what}"


@dataclass(frozen=True)
class TrailVerification:
    """What was looked at and found."""

    entries: int
    head: str
    """Number and hash of the last entry."""
    anchor: str | None
    torn_bytes: int
    """Of a last line that was not finished: a crash in the middle of it. The next process drops it, and says so."""
    failures: tuple[Failure, ...]

    def require(self) -> None:
        """Passes a trail that is whole.

        Raises:
            IntegrityBroken: it is not; names the first line.
        """
        if self.failures:
            more = f" (and {len(self.failures) - 1} more)" if len(self.failures) > 1 else ""
            raise IntegrityBroken(
                f"the audit trail is not what was written: {self.failures[0]}{more}",
                field="audit",
                remedy="restore it from a backup; trust no entry from that line on",
            )

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {**asdict(self), "intact": not self.failures, "limits": LIMITS}


def verify_trail(trail: Path, anchor: Path, *, heads: Sequence[Head] = ()) -> TrailVerification:
    """The verification of the trail against its anchor and against `heads` that were noted elsewhere.

    Raises:
        NotFound: there is neither a trail nor an anchor.
    """
    anchored = read_anchor(anchor)
    if not trail.exists() and not anchor.exists():
        raise NotFound(f"there is no audit trail at {trail}", field="audit", remedy="see MILLRACE_HOME")
    failures: list[Failure] = []
    if anchored is None:
        failures.append(Failure(None, f"the anchor {anchor} is missing or unreadable, so a cut end would not show"))
    wanted = {head.seq: head.sha256 for head in ([anchored] if anchored else [])}
    for head in heads:
        if wanted.setdefault(head.seq, head.sha256) != head.sha256:
            failures.append(Failure(None, f"the heads given and the anchor disagree about entry {head.seq}"))
    seq, previous, torn = _walk(trail, wanted, failures)
    failures += [
        Failure(None, f"the end is cut off: entry {number} of the anchor or of a head given is not there")
        for number in sorted(wanted)
        if number > seq
    ][:1]
    return TrailVerification(
        entries=seq, head=str(Head(seq, previous)), anchor=str(anchored) if anchored else None, torn_bytes=torn,
        failures=tuple(failures[:_MOST_FAILURES]),
    )  # fmt: skip


def _walk(trail: Path, wanted: dict[int, str], failures: list[Failure]) -> tuple[int, str, int]:
    seq, previous = 0, NOTHING
    if not trail.exists():
        failures.append(Failure(None, f"the trail {trail} is missing"))
        return seq, previous, 0
    with trail.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return seq, previous, len(line)
            try:
                entry = read_line(line)
            except ValueError as error:
                failures.append(Failure(number, str(error)))
                seq, previous = seq + 1, ""
            else:
                if entry.seq != seq + 1:
                    failures.append(Failure(number, f"entry {entry.seq} stands where {seq + 1} must be"))
                elif previous and entry.prev != previous:
                    failures.append(Failure(number, "the entry does not follow the one before it"))
                if wanted.get(entry.seq, entry.hash) != entry.hash:
                    failures.append(Failure(number, f"entry {entry.seq} is not the one that was anchored"))
                seq, previous = entry.seq, entry.hash
            if len(failures) >= _MOST_FAILURES:
                break
    return seq, previous, 0
