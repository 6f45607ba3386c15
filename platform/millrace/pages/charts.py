"""Horizontal charts: one row per mark, drawn as inline SVG by `charts.html`."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from millrace.pages import filters

Tone = Literal["plain", "accent", "pass", "fail", "unsure", "faint"]
Unit = Literal["percent", "points", "number"]

WIDTH = 760
LABELS = 190
VALUES = 175
ROW = 34
TOP = 26
BOTTOM = 30
SMALLEST_SPAN = 1e-9
"""Narrowest axis, of itself and relative to its values; below it the ticks' distance has no exact number."""


@dataclass(frozen=True)
class Mark:
    """One row: a value, its interval when there is one, and a remark behind the label."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    tone: Tone = "accent"
    note: str = ""
    at: str = ""
    """JSON pointer of the object whose `value`, `low` and `high` these are, where a document has it."""
    counts_at: str = ""
    """JSON pointers of the counts in the note."""


@dataclass(frozen=True)
class Line:
    """A vertical reference line, such as the four-fifths line."""

    value: float
    label: str


@dataclass(frozen=True)
class Chart:
    """A row per mark: `interval` draws a dot with its interval, `bar` a bar from zero (diverging where negative).

    `title` and `description` are what a screen reader says; put a table with the same figures beside the chart.
    """

    title: str
    description: str
    marks: tuple[Mark, ...]
    lines: tuple[Line, ...] = ()
    kind: Literal["interval", "bar"] = "interval"
    unit: Unit = "percent"
    start: float | None = None
    stop: float | None = None

    @property
    def width(self) -> int:
        """Width of the drawing in its own units."""
        return WIDTH

    @property
    def height(self) -> int:
        """Height of the drawing in its own units."""
        return TOP + ROW * len(self.marks) + BOTTOM

    @property
    def plot_left(self) -> int:
        """Left edge of the plotting area."""
        return LABELS

    @property
    def plot_right(self) -> int:
        """Right edge of the plotting area."""
        return WIDTH - VALUES

    @property
    def plot_bottom(self) -> int:
        """Lower edge of the plotting area."""
        return TOP + ROW * len(self.marks)

    @property
    def domain(self) -> tuple[float, float]:
        """The values at the left and the right edge; contains zero for bars."""
        values = [
            number
            for mark in self.marks
            for number in (mark.value, mark.low, mark.high)
            if number is not None and math.isfinite(number)
        ] + [line.value for line in self.lines]
        if self.kind == "bar":
            values.append(0.0)
        low = self.start if self.start is not None else min(values, default=0.0)
        high = self.stop if self.stop is not None else max(values, default=1.0)
        size = max(abs(low), abs(high))
        if high - low <= max(SMALLEST_SPAN, size * SMALLEST_SPAN):
            high = low + (size if size > SMALLEST_SPAN else 1.0)
        step = _step(high - low)
        first = low if self.start is not None else math.floor(low / step) * step
        last = high if self.stop is not None else math.ceil(high / step) * step
        return first, last

    def x(self, value: float) -> float:
        """Position of a value, kept inside the plotting area."""
        low, high = self.domain
        share = (value - low) / (high - low)
        return round(self.plot_left + (self.plot_right - self.plot_left) * min(1.0, max(0.0, share)), 1)

    def y(self, row: int) -> int:
        """Middle of a row."""
        return TOP + ROW * row + ROW // 2

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Positions and texts of the axis ticks."""
        low, high = self.domain
        step = _step(high - low)
        first = math.ceil(low / step - 1e-9)
        last = math.floor(high / step + 1e-9)
        digits = max(0, -math.floor(math.log10(step)))
        if self.unit != "number":
            digits = max(0, digits - 2)
        return [(self.x(tick * step), self._tick_text(tick * step, digits)) for tick in range(first, last + 1)]

    @property
    def text(self) -> Callable[[float | None], str]:
        """How a value of this chart is written."""
        return {"percent": filters.percent, "points": filters.points, "number": filters.number}[self.unit]

    def interval_text(self, mark: Mark) -> str:
        """`low to high` of a mark, empty when it has no interval."""
        if mark.low is None or mark.high is None:
            return ""
        return f"{self.text(mark.low)} to {self.text(mark.high)}"

    def _tick_text(self, value: float, digits: int) -> str:
        if self.unit == "number":
            return f"{value:,.{digits}f}"
        return f"{value * 100:.{digits}f}%"


def _step(span: float) -> float:
    rough = span / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
