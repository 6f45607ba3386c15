"""The groups of one sensitive column across the steps, as a table for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from millrace.bias.accounting.counts import StepName
    from millrace.bias.accounting.figures import Accounting, AttributeFlow, Finding

_AFTER: dict[StepName, str] = {
    "reading": "In the table",
    "weights": "People",
    "quality": "After the quality checks",
    "target": "With a target",
    "training": "To train on",
    "validation": "Trained on",
    "holdout": "To test on",
    "imputation": "As the model sees them",
}


@dataclass(frozen=True)
class Cell:
    """Share and rows of a group before the first step (`name` is `in`), or after a step (`out`)."""

    at: str
    name: str
    share: float | None
    rows: int
    finding: Finding | None = None


@dataclass(frozen=True)
class Shares:
    """Rows of (group, a cell for each column); None where the step does not know the group."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]


def shares_of(accounting: Accounting, name: str, at: str) -> Shares:
    """The groups of the column before the first step that counted it, and after each one that did."""
    found: list[tuple[str, dict[str, Cell]]] = []
    order: dict[str, None] = {}
    for place, step in enumerate(accounting.steps):
        for column, attribute in enumerate(step.attributes):
            if attribute.attribute != name:
                continue
            here = f"{at}/steps/{place}/attributes/{column}/groups"
            if not found:
                found.append(("In the file" if step.step == "reading" else "Before", _before(attribute, here)))
            found.append((_AFTER[step.step], _after(attribute, here)))
            order |= dict.fromkeys(group.group for group in attribute.groups)
    rows = tuple((group, tuple(cells.get(group) for _, cells in found)) for group in order)
    return Shares(tuple(title for title, _ in found), rows)


def _before(attribute: AttributeFlow, at: str) -> dict[str, Cell]:
    return {
        group.group: Cell(f"{at}/{row}", "in", group.share_in, group.rows_in)
        for row, group in enumerate(attribute.groups)
    }


def _after(attribute: AttributeFlow, at: str) -> dict[str, Cell]:
    return {
        group.group: Cell(f"{at}/{row}", "out", group.share_out, group.rows_out, group.finding)
        for row, group in enumerate(attribute.groups)
    }
