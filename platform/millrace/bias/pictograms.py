"""A hundred people as a hundred marks: natural frequencies that can be counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from millrace.bias.narrative import extremes, told_rate
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


def pictograms(attribute: AttributeReport, at: str, *, deciding: int) -> tuple[Pictogram, ...]:
    """The lowest and the highest group of the rate that is told; empty where there is no rate to compare."""
    rate = told_rate(attribute, deciding)
    ends = None if rate is None else extremes(attribute, rate)
    if ends is None:
        return ()
    values = attribute.measures[ends.measure].values
    return tuple(
        Pictogram(
            filters.visible(values[place].group, 40),
            # as the sentence beside it rounds
            int(f"{(values[place].value or 0) * 100:.0f}"),
            f"{at}/measures/{ends.measure}/values/{place}/value",
        )
        for place in (ends.lowest, ends.highest)
    )
