"""A method's answers against the untreated model's: every gap and every quality, before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from millrace.bias.auc import delong
from millrace.bias.calibration import reliability_by_group
from millrace.bias.crossings import cross_columns
from millrace.bias.groups import Grouping, group_rows
from millrace.bias.intervals import quantile, wilson
from millrace.bias.mitigation.changes import accuracy_change, auc_change, count_pairs, direction_of, gap_changes
from millrace.bias.mitigation.figures import Gap, Quality, Result, Value
from millrace.bias.mitigation.methods import DESCRIPTIONS, Answered
from millrace.bias.mitigation.names import Method
from millrace.bias.predictions import measure_model_bias
from millrace.bias.table import seed_of
from millrace.bias.wording import metric_title, value_text

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from millrace.bias.figures import Disparity
    from millrace.bias.policy import Policy
    from millrace.bias.report import BiasReport
    from millrace.contracts.stages import Verdict
    from millrace.contracts.task import Answers

_SEVERITY: dict[Verdict, int] = {"pass": 0, "not assessable": 1, "inconclusive": 1, "fail": 2}
PERMUTATIONS = 99
"""For the tests of the underlying reports, which are not shown: a mitigation is judged by its gaps."""


@dataclass(frozen=True)
class Holdout:
    """The rows that everything is compared on."""

    label: np.ndarray
    """Class of each row, 0 or 1."""
    classes: tuple[str, str]
    positive: str
    columns: pd.DataFrame
    """The sensitive columns."""
    answers: Answers
    policy: Policy
    seed: int

    @property
    def favourable(self) -> int:
        """Class that is the favourable value."""
        return self.classes.index(self.positive)


def measure(holdout: Holdout, answered: Answered) -> BiasReport:
    """The bias report of one model's answers."""
    import numpy as np

    names = np.array(holdout.classes, dtype=object)
    return measure_model_bias(
        names[holdout.label],
        names[answered.said],
        holdout.columns,
        answers=holdout.answers,
        seed=holdout.seed,
        policy=holdout.policy.model_copy(update={"permutations": PERMUTATIONS}),
        scores=_favourable(holdout, answered),
    )


def _favourable(holdout: Holdout, answered: Answered) -> np.ndarray | None:
    """Chance of the favourable value."""
    if answered.scores is None or holdout.favourable == 1:
        return answered.scores
    return 1 - answered.scores


def compare(
    method: Method, holdout: Holdout, *, before: Answered, after: Answered, reports: tuple[BiasReport, BiasReport]
) -> Result:
    """Every gap and quality of `after` against `before`; `reports` are those of the two."""
    gaps = _gaps(holdout, before, after, reports)
    return Result(
        method=method,
        failed=None,
        redrawn=after.redrawn,
        qualities=_qualities(holdout, before, after),
        gaps=gaps,
        warnings=_warnings(method, gaps),
    )


def _gaps(
    holdout: Holdout, before: Answered, after: Answered, reports: tuple[BiasReport, BiasReport]
) -> tuple[Gap, ...]:
    policy, chosen = holdout.policy, holdout.favourable
    present = {str(name): group_rows(holdout.columns[name], policy=policy) for name in holdout.columns}
    groupings = present | cross_columns(present, policy)[0]
    found = []
    for first, second in zip(*((*one.attributes, *one.crossings) for one in reports), strict=True):
        grouping = groupings[first.attribute]
        counts = count_pairs(
            grouping.codes,
            len(grouping.names),
            label=holdout.label == chosen,
            before=before.said == chosen,
            after=after.said == chosen,
        )
        changes = gap_changes(counts, grouping, policy=policy, seed=seed_of(holdout.seed, "change", first.attribute))
        for one, other in zip(first.disparities, second.disparities, strict=True):
            change = changes.get(one.metric, Value(None, None, None))
            found.append(
                Gap(
                    attribute=first.attribute,
                    metric=one.metric,
                    outcome=one.outcome,
                    unit=one.unit,
                    better=one.better,
                    before=_value(one),
                    after=_value(other),
                    change=change,
                    direction=direction_of(change, one.better),
                )
            )
    return tuple(found)


def _value(item: Disparity) -> Value:
    return Value(item.value, item.low, item.high, item.verdict)


def _qualities(holdout: Holdout, before: Answered, after: Answered) -> tuple[Quality, ...]:
    import numpy as np

    policy, hits = holdout.policy, holdout.label == holdout.favourable
    together = Grouping(np.zeros(len(hits), dtype=np.int64), ("all",), ("",), "all rows")
    counts = count_pairs(
        together.codes, 1, label=hits,
        before=before.said == holdout.favourable, after=after.said == holdout.favourable,
    )  # fmt: skip
    seed = seed_of(holdout.seed, "quality")
    accuracies = [_share(int((one.said == holdout.label).sum()), len(hits), policy) for one in (before, after)]
    change = accuracy_change(counts, policy=policy, seed=seed)
    found = [Quality("accuracy", accuracies[0], accuracies[1], change)]
    first, second = _favourable(holdout, before), _favourable(holdout, after)
    if first is None or second is None:
        return tuple(found)
    change = auc_change(first, second, hits, confidence=policy.confidence)
    found.append(Quality("auc", _auc(first, hits, policy), _auc(second, hits, policy), change))
    errors = [
        reliability_by_group(one, hits, together, np.array([True]), policy=policy, seed=seed)[0]
        for one in (first, second)
    ]
    values = [Value(one.error, one.low, one.high) for one in errors]
    change = Value(errors[1].error - errors[0].error, None, None)
    return (*found, Quality("calibration_error", values[0], values[1], change))


def _share(count: int, rows: int, policy: Policy) -> Value:
    import numpy as np

    low, high = wilson(np.array([count]), np.array([rows]), quantile(policy.confidence))
    return Value(count / rows, float(low[0]), float(high[0]))


def _auc(scores: np.ndarray, hits: np.ndarray, policy: Policy) -> Value:
    import math

    value, error = delong(scores, hits)
    if not math.isfinite(value):
        return Value(None, None, None)
    half = quantile(policy.confidence) * error
    if not math.isfinite(half):
        return Value(value, None, None)
    return Value(value, max(0.0, value - half), min(1.0, value + half))


def _warnings(method: Method, gaps: tuple[Gap, ...]) -> tuple[str, ...]:
    """One sentence for each gap that opens while another closes, and for each verdict that gets worse."""
    closed = [gap for gap in gaps if gap.direction == "closed"]
    title = DESCRIPTIONS[method].title
    found = []
    for gap in gaps:
        worse = (
            gap.before.verdict is not None
            and gap.after.verdict is not None
            and _SEVERITY[gap.after.verdict] > _SEVERITY[gap.before.verdict]
        )
        if gap.direction != "opened" and not worse:
            continue
        said = f"{_name(gap)} goes from {_text(gap, gap.before)} to {_text(gap, gap.after)}"
        if worse:
            said += f", its verdict from {gap.before.verdict} to {gap.after.verdict}"
        helped = f", while it closes {_name(closed[0])}" if closed else ""
        found.append(f"{title}: {said}{helped}.")
    return tuple(found)


def _name(gap: Gap) -> str:
    title = metric_title(gap.metric)
    return f"{title[:1].lower() if title[1:2].islower() else title[:1]}{title[1:]} by {gap.attribute}"


def _text(gap: Gap, item: Value) -> str:
    return value_text(item.value, gap.unit, distance=True)
