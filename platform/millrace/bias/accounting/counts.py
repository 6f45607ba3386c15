"""What a step leaves of every group, as counted from the rows that came in and went out. Nothing here is judged."""

from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from millrace.contracts.errors import BadInput

StepName = Literal["reading", "weights", "quality", "target", "training", "validation", "holdout", "imputation"]
"""In the order in which rows meet them: `validation` is training on fewer rows than were chosen for it."""

FORMAT: Literal[1] = 1
"""Version of the shape in which counts are kept with a model."""


@dataclass(frozen=True)
class GroupCount:
    """One group at one step."""

    group: str
    rows_in: int
    kept: int
    """Rows of those that came in that went on as they were."""
    rows_out: int
    """Rows of the group after the step; more than were kept where rows came to it from another group."""
    filled: int = 0
    """Values that the step filled in, in the group's rows."""
    read_as_missing: bool = False
    """Whether the group is a text of the file that was read as a missing value."""


@dataclass(frozen=True)
class AttributeCount:
    """Every group of a sensitive column at one step; rows without a value are a group."""

    attribute: str
    grouping: str
    groups: tuple[GroupCount, ...]


@dataclass(frozen=True)
class FilledColumn:
    """Values of one column that were filled in."""

    column: str
    filled_with: str
    guessed: bool
    """False where missing became a value of its own, so that nothing was made up."""
    values: int
    by_group: tuple[tuple[int, ...], ...]
    """Values by group, for each attribute of the step, in their orders."""


@dataclass(frozen=True)
class StepCount:
    """One step. `remark` says what of it could not be counted."""

    step: StepName
    rows_in: int
    kept: int
    rows_out: int
    attributes: tuple[AttributeCount, ...]
    filled: tuple[FilledColumn, ...] = ()
    remark: str = ""


@dataclass(frozen=True)
class Counted:
    """The steps of one table, as they are kept with what was made of it."""

    table_sha256: str
    target: str
    steps: tuple[StepCount, ...]
    format: Literal[1] = FORMAT


_COUNTED = TypeAdapter(Counted)


def counted_json(counted: Counted) -> bytes:
    """The counts as a file holds them: the same bytes for the same counts."""
    return _COUNTED.dump_json(counted) + b"\n"


def read_counted(data: bytes) -> Counted:
    """The counts of a file.

    Raises:
        BadInput: it holds something else.
    """
    try:
        return _COUNTED.validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadInput(
            f"these are no counts of rows by step: {place}: {first['msg']}",
            field="accounting",
            remedy="train the model again: its counts are made with it",
        ) from error
