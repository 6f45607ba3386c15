"""Options of the command line as values: what is typed is checked before anything starts."""

import re
from collections.abc import Sequence
from pathlib import Path

from millrace.contracts.errors import BadInput
from millrace.contracts.stages import LEVELS, TASK_TYPES, Level, TaskType

MAX_SECONDS = 86_400
_ID_LENGTH = 64


def seconds(text: str, *, field: str) -> int:
    """Whole seconds between 1 and 86,400.

    Raises:
        BadInput: anything else.
    """
    if text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_SECONDS:
        return int(text)
    raise BadInput(
        f"time budget {text[:40]!r} is not a number of seconds",
        field=field,
        remedy=f"give whole seconds between 1 and {MAX_SECONDS}, such as 60",
    )


def task(text: str) -> TaskType:
    """The task type.

    Raises:
        BadInput: it is neither of the two.
    """
    for known in TASK_TYPES:
        if text.strip().lower() == known:
            return known
    raise BadInput(
        f"there is no task type {text[:40]!r}", field="task_type", remedy=f"choose {' or '.join(TASK_TYPES)}"
    )


def levels(text: str) -> tuple[Level, ...]:
    """The levels named, in their usual order.

    Raises:
        BadInput: none, or one that does not exist.
    """
    named = {part.lower() for part in names(text)}
    unknown = sorted(named - set(LEVELS))
    if unknown or not named:
        what = f"there is no level {unknown[0]!r}" if unknown else "no level is named"
        raise BadInput(what, field="levels", remedy=f"name some of {', '.join(LEVELS)}")
    return tuple(level for level in LEVELS if level in named)


def names(text: str) -> tuple[str, ...]:
    """The names separated by commas; a name that holds a comma is written in double quotes."""
    found = re.findall(r'"([^"]*)"|([^,]+)', text)
    cleaned = (quoted or plain.strip() for quoted, plain in found)
    return tuple(name for name in cleaned if name)


def joined(given: Sequence[str] | None) -> str | None:
    """What an option that may be repeated was given, as one text for `names`; None when it was not given."""
    return ",".join(given) if given else None


def dataset_id_of(path: Path) -> str:
    """An identifier made from a file's name: `Loan data (1).csv.gz` gives `Loan-data-1`."""
    stem = path.name
    for suffix in (".gz", ".csv", ".tsv", ".txt", ".parquet", ".pq"):
        if stem.lower().endswith(suffix):
            stem = stem[: -len(suffix)]
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", stem).strip("-_")[:_ID_LENGTH].strip("-_")
    return slug or "dataset"


def duration(value: float) -> str:
    """Seconds as people say them: `0.4 s`, `12 s`, `3 min 05 s`."""
    if value < 10:
        return f"{value:.1f} s"
    if value < 60:
        return f"{value:.0f} s"
    return f"{int(value) // 60} min {int(value) % 60:02d} s"
