"""Positions of a scatter of gap against accuracy, drawn as inline SVG by `mitigation.html`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from millrace.bias.mitigation.figures import Plane, Value

WIDTH, HEIGHT = 760, 360
LEFT, RIGHT, TOP, BOTTOM = 62, 236, 16, 48
"""Room around the plot: the legend stands on the right."""
SMALLEST_SPAN = 0.02


@dataclass(frozen=True)
class Dot:
    """One model: place, ends of both intervals, number in the legend."""

    number: int
    label: str
    front: bool
    x: float
    y: float
    across: tuple[float, float]
    up: tuple[float, float]


@dataclass(frozen=True)
class Scatter:
    """A plane as it is drawn: the better corner is at the upper left."""

    plane: Plane

    @property
    def dots(self) -> list[Dot]:
        """Every model, in the plane's order."""
        across, up = self._domains
        return [
            Dot(
                number=number,
                label=point.label,
                front=point.front,
                x=self._x(point.gap.value or 0.0, across),
                y=self._y(point.accuracy.value or 0.0, up),
                across=(self._x(_low(point.gap), across), self._x(_high(point.gap), across)),
                up=(self._y(_low(point.accuracy), up), self._y(_high(point.accuracy), up)),
            )
            for number, point in enumerate(self.plane.points, start=1)
        ]

    @property
    def x_ticks(self) -> list[tuple[float, str]]:
        """Places and texts under the plot."""
        across = self._domains[0]
        return [(self._x(value, across), f"{value * 100:g}") for value in _ticks(*across)]

    @property
    def y_ticks(self) -> list[tuple[float, str]]:
        """Places and texts beside the plot."""
        up = self._domains[1]
        return [(self._y(value, up), f"{value * 100:g}%") for value in _ticks(*up)]

    @property
    def frame(self) -> tuple[int, int, int, int]:
        """Left, right, top and bottom of the plot."""
        return LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM

    @property
    def _domains(self) -> tuple[tuple[float, float], tuple[float, float]]:
        points = self.plane.points
        return (
            _domain([0.0, *(edge for one in points for edge in (_low(one.gap), _high(one.gap)))]),
            _domain([edge for one in points for edge in (_low(one.accuracy), _high(one.accuracy))]),
        )

    def _x(self, value: float, domain: tuple[float, float]) -> float:
        left, right, _, _ = self.frame
        return round(left + (right - left) * (value - domain[0]) / (domain[1] - domain[0]), 1)

    def _y(self, value: float, domain: tuple[float, float]) -> float:
        _, _, top, bottom = self.frame
        return round(bottom - (bottom - top) * (value - domain[0]) / (domain[1] - domain[0]), 1)


def _low(item: Value) -> float:
    return item.low if item.low is not None else item.value or 0.0


def _high(item: Value) -> float:
    return item.high if item.high is not None else item.value or 0.0


def _domain(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    step = _step(max(high - low, SMALLEST_SPAN))
    first, last = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return first, last if last > first else first + step


def _step(span: float) -> float:
    rough = span / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)


def _ticks(low: float, high: float) -> list[float]:
    step = _step(max(high - low, SMALLEST_SPAN))
    return [round(tick * step, 10) for tick in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
