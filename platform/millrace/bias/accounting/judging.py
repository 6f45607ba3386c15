"""Which step moved a group's share: a ratio beyond the policy's line that chance would hardly make."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from millrace.bias.accounting.counts import AttributeCount, GroupCount, StepCount, StepName
from millrace.bias.accounting.figures import Accounting, AttributeFlow, Finding, GroupFlow, StepFlow
from millrace.bias.figures import MISSING
from millrace.bias.intervals import quantile, ratio_limits, wilson
from millrace.bias.significance import holm

if TYPE_CHECKING:
    from millrace.bias.policy import Policy

TITLES = {
    "reading": "Reading the file",
    "weights": "Counting the people whom rows stand for",
    "quality": "Quality checks",
    "target": "Leaving out rows without a target",
    "training": "Choosing the rows to train on",
    "validation": "Keeping rows back to compare models",
    "holdout": "Choosing the rows to test on (hold-out)",
    "imputation": "Filling in missing values",
}


def account(steps: Sequence[StepCount], *, policy: Policy, sensitive: Sequence[str]) -> Accounting:
    """The steps with shares, tests and what is named.

    A group is `lost` at a step when the ratio of the rates kept (its own over everyone else's) is below
    `policy.kept_ratio` and Fisher's exact test, adjusted by Holm for all groups of all steps, is significant at the
    policy's confidence. `sensitive` are the report's columns, of which some may not have been counted.
    """
    counted = [_step(step, policy) for step in steps]
    known = [group.p for group in _groups(counted) if group.p is not None]
    adjusted = iter(holm(known))
    judged = tuple(
        replace(
            step,
            attributes=tuple(
                replace(
                    attribute,
                    groups=tuple(
                        _judged(group, None if group.p is None else next(adjusted), attribute, step, policy)
                        for group in attribute.groups
                    ),
                )
                for attribute in step.attributes
            ),
        )
        for step in counted
    )
    there = {attribute.attribute for step in steps for attribute in step.attributes}
    return Accounting(
        steps=judged,
        line=policy.kept_ratio,
        confidence=policy.confidence,
        tests=len(known),
        not_counted=tuple(name for name in dict.fromkeys(sensitive) if name not in there),
    )


def _groups(steps: Sequence[StepFlow]) -> Iterator[GroupFlow]:
    for step in steps:
        for attribute in step.attributes:
            yield from attribute.groups


def _step(step: StepCount, policy: Policy) -> StepFlow:
    attributes = tuple(
        AttributeFlow(one.attribute, one.grouping, tuple(_flow(one, group, step.step, policy) for group in one.groups))
        for one in step.attributes
    )
    return StepFlow(
        step.step, TITLES[step.step], step.rows_in, step.kept, step.rows_out, attributes, step.filled, step.remark
    )


def _flow(attribute: AttributeCount, group: GroupCount, step: StepName, policy: Policy) -> GroupFlow:
    every_in, every_kept, every_out = (
        sum(getattr(one, name) for one in attribute.groups) for name in ("rows_in", "kept", "rows_out")
    )
    others_in, others_kept = every_in - group.rows_in, every_kept - group.kept
    rate, others = _rate(group.kept, group.rows_in), _rate(others_kept, others_in)
    ratio, low, high = _ratio(group.kept, group.rows_in, others_kept, others_in, policy)
    return GroupFlow(
        group=group.group,
        rows_in=group.rows_in,
        kept=group.kept,
        rows_out=group.rows_out,
        filled=group.filled,
        share_in=_rate(group.rows_in, every_in),
        share_out=_rate(group.rows_out, every_out),
        kept_rate=rate,
        others_kept_rate=others,
        changed_rate=None if rate is None else 1 - rate,
        others_changed_rate=None if others is None else 1 - others,
        ratio=ratio,
        low=low,
        high=high,
        # which texts are read as missing is a rule: chance has no part in it
        p=None if step == "reading" else _fisher(group.kept, group.rows_in, others_kept, others_in),
        p_holm=None,
        finding="read as missing" if group.read_as_missing else None,
    )


def _judged(
    group: GroupFlow, p_holm: float | None, attribute: AttributeFlow, step: StepFlow, policy: Policy
) -> GroupFlow:
    group = replace(group, p_holm=p_holm)
    return group if group.finding else replace(group, finding=_finding(group, attribute, step, policy))


def _finding(group: GroupFlow, attribute: AttributeFlow, step: StepFlow, policy: Policy) -> Finding | None:
    if step.step == "reading" or step.rows_out == 0:
        return None
    below = group.ratio is not None and group.ratio < policy.kept_ratio
    if below and group.p_holm is not None and group.p_holm <= 1 - policy.confidence:
        return "lost"
    if step.step == "imputation":
        came = group.rows_out > group.rows_in and any(
            one.group == MISSING and one.rows_out < one.rows_in for one in attribute.groups
        )
        before, after = group.share_in or 0.0, group.share_out or 0.0
        return "filled in" if came and before < policy.kept_ratio * after else None
    return "gone" if group.rows_in and not group.rows_out else None


def _rate(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _ratio(
    kept: int, came: int, others_kept: int, others_came: int, policy: Policy
) -> tuple[float | None, float | None, float | None]:
    """Ratio of the rates kept with limits by Donner and Zou; None where one of the rates, or both, cannot be had."""
    import numpy as np

    if not came or not others_came or not kept + others_kept:
        return None, None, None
    successes, trials = np.array([kept, others_kept]), np.array([came, others_came])
    low, high = wilson(successes, trials, quantile(policy.confidence))
    rates = successes / trials
    limits = ratio_limits(rates[:1], (low[:1], high[:1]), rates[1:], (low[1:], high[1:]))
    value = float(rates[0] / rates[1]) if rates[1] else float("inf")
    return value, min(float(limits[0][0]), value), max(float(limits[1][0]), value)


def _fisher(kept: int, came: int, others_kept: int, others_came: int) -> float | None:
    """Two-sided p-value that a group's rows are kept like everyone else's; None where nothing varies."""
    from scipy import stats

    every = kept + others_kept
    if not came or not others_came or every in (0, came + others_came):
        return None
    table = [[kept, came - kept], [others_kept, others_came - others_kept]]
    return float(min(1.0, stats.fisher_exact(table).pvalue))
