"""Drawings of an explanation: a waterfall of one row, and the effect of a column by its value."""

import math
from dataclasses import dataclass

from millrace.explain.result import Case, Dependence
from millrace.pages import filters

WIDTH = 760
LABELS = 250
VALUES = 90
ROW = 30
TOP = 28
BARS = 8
"""Contributions drawn one by one; the rest is one bar."""

PLOT_HEIGHT = 190
PLOT_TOP = 14
PLOT_LEFT = 62
PLOT_FOOT = 74


@dataclass(frozen=True)
class Step:
    """A bar of the waterfall, from where the last one ended."""

    name: str
    value: str
    effect: float
    start: float
    stop: float


@dataclass(frozen=True)
class Waterfall:
    """From the base value to the output of one row, the largest contributions first."""

    base: float
    output: float
    steps: tuple[Step, ...]

    @property
    def width(self) -> int:
        """Width in the drawing's units."""
        return WIDTH

    @property
    def height(self) -> int:
        """Height in the drawing's units."""
        return TOP + ROW * len(self.steps) + 34

    @property
    def left(self) -> int:
        """Left edge of the plotting area."""
        return LABELS

    @property
    def right(self) -> int:
        """Right edge of the plotting area."""
        return WIDTH - VALUES

    def x(self, value: float) -> float:
        """Position of a value."""
        edges = [self.base, self.output, *(step.stop for step in self.steps)]
        low, high = min(edges), max(edges)
        span = (high - low) or 1.0
        return round(LABELS + (WIDTH - VALUES - LABELS) * (value - low) / span, 1)

    def y(self, row: int) -> int:
        """Middle of a row."""
        return TOP + ROW * row + ROW // 2


def waterfall(case: Case) -> Waterfall:
    """The waterfall of a case."""
    shown = case.contributions[:BARS]
    rest = case.contributions[BARS:]
    steps = []
    at = case.base
    for part in shown:
        steps.append(Step(part.name, part.value, part.effect, at, at + part.effect))
        at += part.effect
    if rest:
        total = sum(part.effect for part in rest)
        steps.append(Step(f"{len(rest)} other columns", "", total, at, at + total))
    return Waterfall(case.base, case.output, tuple(steps))


@dataclass(frozen=True)
class EffectPlot:
    """Mean effect a bin, with two standard errors, above a strip of row counts."""

    dependence: Dependence

    @property
    def width(self) -> int:
        """Width in the drawing's units."""
        return WIDTH

    @property
    def height(self) -> int:
        """Height in the drawing's units."""
        return PLOT_TOP + PLOT_HEIGHT + PLOT_FOOT

    @property
    def left(self) -> int:
        """Left edge of the plotting area."""
        return PLOT_LEFT

    @property
    def bottom(self) -> int:
        """Lower edge of the plotting area."""
        return PLOT_TOP + PLOT_HEIGHT

    @property
    def step(self) -> float:
        """Width of a bin's slot."""
        return (WIDTH - PLOT_LEFT - 10) / max(1, len(self.dependence.bins))

    @property
    def most(self) -> int:
        """Rows in the fullest bin."""
        return max(found.count for found in self.dependence.bins)

    @property
    def joined(self) -> str:
        """Points of the line through the bins of a number or date, without the bin of missing values."""
        if self.dependence.kind == "category":
            return ""
        found = [(place, item) for place, item in enumerate(self.dependence.bins) if item.low is not None]
        return " ".join(f"{self.x(place)},{self.y(item.effect)}" for place, item in found)

    def x(self, place: int) -> float:
        """Middle of a bin's slot."""
        return round(PLOT_LEFT + self.step * (place + 0.5), 1)

    def y(self, value: float) -> float:
        """Position of an effect."""
        low, high = self._range
        return round(PLOT_TOP + PLOT_HEIGHT * (high - value) / (high - low), 1)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Positions and texts of the vertical axis."""
        low, high = self._range
        step = _step(high - low)
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        return [(self.y(tick * step), f"{tick * step:+.{digits}f}" if tick else "0") for tick in range(first, last + 1)]

    @property
    def _range(self) -> tuple[float, float]:
        edges = [0.0]
        for found in self.dependence.bins:
            edges += [found.effect - 2 * found.standard_error, found.effect + 2 * found.standard_error]
        low, high = min(edges), max(edges)
        margin = (high - low) * 0.06 or 1.0
        return low - margin, high + margin


def _step(span: float) -> float:
    power = 10.0 ** math.floor(math.log10(span / 5))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= span / 5 * 0.999)


def tick_label(text: str, slot: float) -> str:
    """A bin's label cut to what fits its slot when written aslant."""
    return filters.visible(text, max(8, min(16, round(slot / 4))))
