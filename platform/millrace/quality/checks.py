"""The fixed vocabulary of data checks: names are known before any data is."""

from dataclasses import dataclass
from typing import Literal

CheckName = Literal[
    "has_rows",
    "target_present",
    "target_has_values",
    "target_varies",
    "duplicate_rows",
    "constant_columns",
    "id_like_columns",
    "suspected_leakage",
    "missing_values",
]


@dataclass(frozen=True)
class CheckSpec:
    """One check. A blocking one that fails ends the stage; the others warn."""

    name: CheckName
    blocking: bool
    description: str


CHECKS: tuple[CheckSpec, ...] = (
    CheckSpec("has_rows", True, "The table has at least one row."),
    CheckSpec("target_present", True, "The target column is in the table."),
    CheckSpec("target_has_values", True, "The target is filled in somewhere."),
    CheckSpec("target_varies", True, "The target has at least two different values."),
    CheckSpec("duplicate_rows", False, "No row repeats another one in every column."),
    CheckSpec("constant_columns", False, "Every column has at least two different values."),
    CheckSpec("id_like_columns", False, "No column looks like an identifier of rows."),
    CheckSpec("suspected_leakage", False, "No single column gives the target away."),
    CheckSpec("missing_values", False, "No column is missing in many rows, and the target in none."),
)
