"""A hundred people as a hundred marks: natural frequencies that can be counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from millrace.bias.narrative import extremes
from millrace.pages import filters

if TYPE_CHECKING:
    from millrace.bias.figures import AttributeReport

COLUMNS, ROWS, STEP = 25, 4, 14


@dataclass(frozen=True)
class Pictogram:
    """One group: of a hundred, how many. `at` is the JSON pointer of the rate."""

    group: str
    filled: int
    at: str

    @property
    def width(self) -> int:
        """Width of the drawing in its own units."""
        return COLUMNS * STEP

    @property
    def height(self) -> int:
        """Height of the drawing in its own units."""
        return ROWS * STEP

    @property
    def marks(self) -> list[tuple[float, float, bool]]:
        """Middle of each mark, and whether it counts."""
        return [
            ((number % COLUMNS + 0.5) * STEP, (number // COLUMNS + 0.5) * STEP, number < self.filled)
            for number in range(COLUMNS * ROWS)
        ]


def pictograms(attribute: AttributeReport, at: str) -> tuple[Pictogram, ...]:
    """The lowest and the highest group of the leading rate; empty where there is no rate to compare."""
    ends = extremes(attribute)
    if ends is None or attribute.measures[0].metric != "selection_rate":
        return ()
    values = attribute.measures[0].values
    return tuple(
        Pictogram(
            filters.visible(values[place].group, 40),
            # as the sentence beside it rounds
            int(f"{(values[place].value or 0) * 100:.0f}"),
            f"{at}/measures/0/values/{place}/value",
        )
        for place in (ends.lowest, ends.highest)
    )
