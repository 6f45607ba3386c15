"""What the threshold explorer of the page starts from: binned counts, curves, and the threshold of the predictions."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from millrace.pages import filters

if TYPE_CHECKING:
    from millrace.bias.figures import AttributeReport
    from millrace.bias.score_figures import ScoreBins, ScoreCounts

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 760, 220, 66, 12, 26
MOST_CURVES = 6


@dataclass(frozen=True)
class Curve:
    """Selection rate of one group at every threshold."""

    group: str
    points: str


@dataclass(frozen=True)
class Explorer:
    """The explorer of one sensitive column."""

    attribute: str
    data: str
    """JSON of the bins: `starts`, and `groups` with name, unfavourable and favourable counts."""
    start: int
    """Place of the threshold that selects about as many rows as the predictions do."""
    steps: int
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    """Name, and at the first threshold: rows selected, selection rate, true and false positive rate, precision."""
    curves: tuple[Curve, ...]

    width = WIDTH
    height = HEIGHT
    left = LEFT
    right = WIDTH - 12
    top = TOP
    bottom = HEIGHT - BOTTOM


def explorer(attribute: AttributeReport) -> Explorer | None:
    """The explorer of the compared groups; None without scores or with fewer than two groups."""
    bins = attribute.scores
    compared = {group.name for group in attribute.groups if group.compared}
    if bins is None or len(compared) < 2:
        return None
    shown = [group for group in bins.groups if group.group in compared]
    data = {
        "starts": list(bins.starts),
        "groups": [
            {"name": group.group, "unfavourable": list(group.unfavourable), "favourable": list(group.favourable)}
            for group in shown
        ],
    }
    start = _start(attribute, bins)
    return Explorer(
        attribute=attribute.attribute,
        data=json.dumps(data, ensure_ascii=False, separators=(",", ":")),
        start=start,
        steps=len(bins.starts),
        groups=tuple((group.group, _cells(group, start)) for group in shown),
        curves=tuple(
            Curve(group.group, _points([*map(sum, zip(group.unfavourable, group.favourable, strict=True))]))
            for group in shown[:MOST_CURVES]
        ),
    )


def _cells(group: ScoreCounts, start: int) -> tuple[str, ...]:
    true, false = sum(group.favourable[start:]), sum(group.unfavourable[start:])
    yes, no = sum(group.favourable), sum(group.unfavourable)
    pairs = ((true + false, yes + no), (true, yes), (false, no), (true, true + false))
    return (filters.whole(true + false), *(filters.percent(top / all_ if all_ else None) for top, all_ in pairs))


def _start(attribute: AttributeReport, bins: ScoreBins) -> int:
    """The threshold whose selection is nearest in size to the predictions' own."""
    said = sum(value.count or 0 for value in attribute.measures[0].values)
    rows = [
        sum(group.unfavourable[place] + group.favourable[place] for group in bins.groups)
        for place in range(len(bins.starts))
    ]
    above = _above(rows)
    return min(range(len(above)), key=lambda place: abs(above[place] - said))


def _above(rows: list[int]) -> list[int]:
    """Rows at or above each threshold, the last one above all scores."""
    return [*reversed([*itertools.accumulate(reversed(rows), initial=0)])]


def _points(rows: list[int]) -> str:
    total = max(1, sum(rows))
    above = _above(rows)
    width, height = Explorer.right - Explorer.left, Explorer.bottom - Explorer.top
    return " ".join(
        f"{Explorer.left + width * place / len(rows):.1f},{Explorer.bottom - height * count / total:.1f}"
        for place, count in enumerate(above)
    )
