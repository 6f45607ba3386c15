"""Columns that the profile makes suspicious; only these get an expectation of their own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from millrace.warehouse.profile import ColumnProfile, Profile

MISSING_LINE = 0.3
"""Share of missing values above which a column is named: imputation starts to invent more than it repairs."""
UNIQUE_LINE = 0.98
"""Share of distinct values from which a text column reads like an identifier or free text."""
IDENTIFIER_ROWS = 20
"""Fewer rows say nothing of uniqueness."""
_IDENTIFIER = re.compile(r"(^|[^a-z])(id|ids|uuid|guid|key|number|nr|no)$", re.IGNORECASE)


@dataclass(frozen=True)
class Suspects:
    """Column names by suspicion; `missing` maps to the share of missing values."""

    constant: tuple[str, ...]
    identifiers: tuple[str, ...]
    missing: dict[str, float]
    target_missing: int
    """Rows without a target, when it has any value at all."""


def find_suspects(profile: Profile, target: str) -> Suspects:
    """What the profile says against each column other than the target."""
    others = [column for column in profile.columns if column.name != target]
    aim = next((column for column in profile.columns if column.name == target), None)
    rows = profile.row_count
    shares = {column.name: column.null_count / rows for column in others} if rows else {}
    return Suspects(
        constant=tuple(column.name for column in others if rows > 0 and column.distinct_count <= 1),
        identifiers=tuple(column.name for column in others if _reads_like_identifier(column, rows)),
        missing={name: share for name, share in shares.items() if share > MISSING_LINE},
        target_missing=aim.null_count if aim and aim.distinct_count else 0,
    )


def _reads_like_identifier(column: ColumnProfile, rows: int) -> bool:
    filled = rows - column.null_count
    if filled < IDENTIFIER_ROWS:
        return False
    if column.type == "text":
        return column.distinct_count >= UNIQUE_LINE * filled
    if column.type != "integer" or column.distinct_count < filled:
        return False
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column.name)
    return bool(_IDENTIFIER.search(spaced)) or _is_counter(column, filled)


def _is_counter(column: ColumnProfile, filled: int) -> bool:
    if column.minimum is None or column.maximum is None:
        return False
    # a row number leaves few gaps; an amount that happens to be unique leaves many
    return int(float(column.maximum)) - int(float(column.minimum)) < 2 * filled
