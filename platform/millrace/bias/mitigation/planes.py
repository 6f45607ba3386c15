"""Gap against accuracy: which models no other beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from millrace.bias.mitigation.figures import Plane, Point, Result, Value
from millrace.bias.mitigation.methods import DESCRIPTIONS


def plane(results: Sequence[Result], attribute: str, metric: str) -> Plane | None:
    """All models by the gap and by accuracy, the untreated one first; None when there is nothing to place."""
    points: list[Point] = []
    for result in results:
        gap = result.gap(attribute, metric)
        accuracy = next((one for one in result.qualities if one.metric == "accuracy"), None)
        if gap is None or accuracy is None:
            continue
        if not points:
            points.append(_point("Untreated", gap.before, accuracy.before))
        points.append(_point(DESCRIPTIONS[result.method].title, gap.after, accuracy.after))
    known = [one for one in points if one.gap.value is not None and one.accuracy.value is not None]
    return Plane(metric, tuple(replace(one, front=not _beaten(one, known)) for one in known)) if known else None


def _point(label: str, gap: Value, accuracy: Value) -> Point:
    return Point(label, gap, accuracy, front=False)


def _beaten(one: Point, others: Sequence[Point]) -> bool:
    """Whether another is at least as good in both and better in one."""
    mine = _merits(one)
    return any(
        all(a >= b for a, b in zip(_merits(other), mine, strict=True)) and _merits(other) != mine for other in others
    )


def _merits(one: Point) -> tuple[float, float]:
    return -(one.gap.value or 0.0), one.accuracy.value or 0.0
