"""Demographic shift: the verdicts to expect when a group's share grows and everything within the groups stays.

Closed form: rows of the growing group count more, all others less, so that the rows in all stay as many. Rates within
a column's own groups do not change, but how well they are known does; rates by another column change where the two are
related.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from millrace.bias.groups import group_rows
from millrace.bias.rates import Kind, Rates, rate_disparity
from millrace.bias.table import count_groups, require_column
from millrace.bias.values import as_text
from millrace.contracts.errors import BadInput
from millrace.contracts.stages import Verdict

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from millrace.bias.groups import Grouping
    from millrace.bias.policy import Policy
    from millrace.bias.report import BiasReport

GROWTH = 0.1
"""Points of share that a group grows by."""
_RATES: dict[str, tuple[Kind, ...]] = {
    "selection_rate": ("ratio", "difference"),
    "true_positive_rate": ("difference",),
    "false_positive_rate": ("difference",),
    "precision": ("difference",),
    "accuracy": ("difference",),
}


@dataclass(frozen=True)
class ShiftedVerdict:
    """One judged distance as it is, and after the shift."""

    attribute: str
    metric: str
    value_before: float | None
    value_after: float | None
    verdict_before: Verdict
    verdict_after: Verdict


@dataclass(frozen=True)
class Shift:
    """One group that grows. `changed` are the verdicts that become others, of `judged` in all."""

    attribute: str
    group: str
    share: float
    grown: float
    selection_before: float
    selection_after: float
    """Selection rate of everybody."""
    judged: int
    changed: tuple[ShiftedVerdict, ...]


@dataclass(frozen=True)
class ShiftReport:
    """Every group of every sensitive column that can grow: a part of a bias report."""

    growth: float
    shifts: tuple[Shift, ...]
    not_grown: tuple[tuple[str, str], ...]
    """(column, group) that already hold too much of the rows to grow by that much."""

    name: ClassVar[str] = "shift"
    section: ClassVar[int] = 6
    template: ClassVar[str] = "bias_shift.html"

    def document(self) -> dict[str, Any]:
        """Every figure."""
        return asdict(self)


def shift_of_report(
    report: BiasReport, frame: pd.DataFrame, *, predictions: pd.Series[Any] | None = None
) -> ShiftReport:
    """The shifts of the rows that `report` measured; `predictions` belong to the rows of `frame` by position.

    Raises:
        BadInput: the report is about no favourable value.
    """
    if report.positive is None:
        raise BadInput(
            "a shift is told for a classification with a favourable value",
            field="shift",
            remedy="leave --shift away, or give --positive",
        )
    target = require_column(frame, report.target, field="target")
    there = target.notna().to_numpy()
    said = None if predictions is None else predictions[there].map(as_text).eq(report.positive).to_numpy()
    return shift_groups(
        frame.loc[there, [one.attribute for one in report.attributes]],
        favourable=target[there].map(as_text).eq(report.positive).to_numpy(),
        predicted=said,
        policy=report.policy,
    )


def shift_groups(
    columns: pd.DataFrame, *, favourable: np.ndarray, predicted: np.ndarray | None, policy: Policy
) -> ShiftReport:
    """The verdicts after each compared group has grown by GROWTH, the others giving way in proportion.

    `favourable` and `predicted` say for each row whether it has, and is predicted to have, the favourable value;
    without predictions the label's selection rates are judged.
    """
    import numpy as np

    groupings = {str(name): group_rows(columns[name], policy=policy) for name in columns}
    said = favourable if predicted is None else predicted
    cells = favourable.astype(np.int64) * 2 + said
    selected = np.array([0.0, 1.0, 0.0, 1.0])
    shifts, not_grown = [], []
    for name, grouping in groupings.items():
        tables = {other: _joint(grouping, one, cells) for other, one in groupings.items()}
        everybody = np.bincount(grouping.codes * 4 + cells, minlength=len(grouping.names) * 4).reshape(-1, 4)
        start = _verdicts(tables, groupings, np.ones(len(grouping.names)), policy, predicted is not None)
        for place, group in enumerate(count_groups(grouping, name=name, policy=policy)):
            if not group.compared:
                continue
            if group.share + GROWTH >= 1:
                not_grown.append((name, group.name))
                continue
            weight = np.full(len(grouping.names), (1 - group.share - GROWTH) / (1 - group.share))
            weight[place] = (group.share + GROWTH) / group.share
            after = _verdicts(tables, groupings, weight, policy, predicted is not None)
            rates = [float((w @ everybody) @ selected / len(cells)) for w in (np.ones_like(weight), weight)]
            changed = tuple(
                ShiftedVerdict(attribute, metric, value, after[attribute, metric][0], verdict, new)
                for (attribute, metric), (value, verdict) in start.items()
                if (new := after[attribute, metric][1]) != verdict
            )
            shifts.append(
                Shift(name, group.name, group.share, group.share + GROWTH, rates[0], rates[1], len(start), changed)
            )
    return ShiftReport(GROWTH, tuple(shifts), tuple(not_grown))


def _joint(first: Grouping, second: Grouping, cells: np.ndarray) -> np.ndarray:
    """Rows by the first grouping, the second, and (label, prediction)."""
    import numpy as np

    sizes = len(first.names), len(second.names), 4
    keys = (first.codes * sizes[1] + second.codes) * 4 + cells
    return np.bincount(keys, minlength=int(np.prod(sizes))).reshape(sizes)


def _verdicts(
    tables: dict[str, np.ndarray],
    groupings: dict[str, Grouping],
    weight: np.ndarray,
    policy: Policy,
    with_predictions: bool,
) -> dict[tuple[str, str], tuple[float | None, Verdict]]:
    """(column, metric) → value and verdict of every judged distance, from reweighted counts in whole rows."""
    import numpy as np

    found: dict[tuple[str, str], tuple[float | None, Verdict]] = {}
    for name, table in tables.items():
        counts = np.rint(np.tensordot(weight, table, axes=1)).astype(np.int64).reshape(-1, 2, 2)
        for metric in _RATES if with_predictions else ("selection_rate",):
            rates = Rates(metric, None, *_rate(counts, metric), needs_both_outcomes=metric == "selection_rate")
            for kind in _RATES[metric]:
                item = rate_disparity(rates, groupings[name], kind=kind, policy=policy, seed=None)
                if item.verdict is not None:
                    found[name, item.metric] = item.value, item.verdict
    return found


def _rate(counts: np.ndarray, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Successes and trials by group, of (label, prediction) counts."""
    every = counts.sum(axis=(1, 2))
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {
        "selection_rate": (counts[:, :, 1].sum(axis=1), every),
        "true_positive_rate": (counts[:, 1, 1], counts[:, 1].sum(axis=1)),
        "false_positive_rate": (counts[:, 0, 1], counts[:, 0].sum(axis=1)),
        "precision": (counts[:, 1, 1], counts[:, :, 1].sum(axis=1)),
        "accuracy": (counts[:, 0, 0] + counts[:, 1, 1], every),
    }
    return found[metric]
