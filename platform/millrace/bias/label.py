"""Bias of the label, before any training: how often, or how much, each group gets what the target records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millrace.bias.estimates import Estimates, estimate_disparity, measure_estimates
from millrace.bias.groups import Grouping, group_rows
from millrace.bias.numbers import group_means, numeric_target
from millrace.bias.outcomes import Outcomes, read_outcomes
from millrace.bias.policy import DEFAULT_POLICY, Policy
from millrace.bias.rates import Rates, measure_rates, rate_disparity
from millrace.bias.report import AttributeReport, BiasReport, Disparity, Measure
from millrace.bias.table import NO_ATTRIBUTES, check_sensitive, count_groups, require_column, seed_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from millrace.contracts.task import Answers


def measure_label_bias(
    frame: pd.DataFrame, *, answers: Answers, seed: int, policy: Policy = DEFAULT_POLICY
) -> BiasReport:
    """Selection rates (classification) or means (regression) of the target by group, for each sensitive column.

    With a positive value that value is the outcome; without one, each class is, against all others. Rows without a
    target are left out and counted.

    Raises:
        BadInput: a column or the positive value is not there, the target has no value, or a regression target holds
            something that is not a number.
    """
    sensitive = check_sensitive(frame, answers)
    target = require_column(frame, answers.target, field="target")
    present = target.notna().to_numpy()
    kept = frame if present.all() else frame.loc[present]
    groupings = {name: group_rows(require_column(kept, name, field="sensitive"), policy=policy) for name in sensitive}
    notes = () if sensitive else (NO_ATTRIBUTES,)
    if answers.task_type == "regression":
        numbers = numeric_target(target[present], answers.target)
        attributes = tuple(_means_of(name, item, numbers, policy) for name, item in groupings.items())
        outcomes: tuple[str, ...] = ()
        positive = None
    else:
        read = read_outcomes(target[present], answers, policy)
        attributes = tuple(_rates_of(name, item, read, policy, seed) for name, item in groupings.items())
        outcomes, positive, notes = read.measured, read.positive, (*notes, *read.notes)
    return BiasReport(
        subject="label",
        task_type=answers.task_type,
        target=answers.target,
        positive=positive,
        outcomes=outcomes,
        rows=int(present.sum()),
        rows_without_target=int((~present).sum()),
        attributes=attributes,
        notes=notes,
        policy=policy,
        seed=seed,
    )


def _rates_of(name: str, grouping: Grouping, outcomes: Outcomes, policy: Policy, seed: int) -> AttributeReport:
    import numpy as np

    groups, classes = len(grouping.names), len(outcomes.names)
    table = np.bincount(grouping.codes * classes + outcomes.codes, minlength=groups * classes)
    table = table.reshape(groups, classes)
    measures: list[Measure] = []
    disparities: list[Disparity] = []
    for outcome in outcomes.measured:
        successes = table[:, outcomes.names.index(outcome)]
        shown = None if outcomes.positive is not None else outcome
        rates = Rates("selection_rate", shown, successes, table.sum(axis=1), needs_both_outcomes=True)
        measures.append(measure_rates(rates, grouping, policy))
        chance = seed_of(seed, name, "selection_rate", outcome)
        disparities += [
            rate_disparity(rates, grouping, kind="ratio", line=policy.ratio_line, policy=policy, seed=chance),
            rate_disparity(rates, grouping, kind="difference", line=policy.rate_line, policy=policy, seed=chance),
        ]
    return AttributeReport(
        name, grouping.how, count_groups(grouping, policy=policy), tuple(measures), tuple(disparities)
    )


def _means_of(name: str, grouping: Grouping, numbers: np.ndarray[Any, Any], policy: Policy) -> AttributeReport:
    means, errors, rows = group_means(numbers, grouping)
    estimates = Estimates("mean", "target", means, errors, rows)
    spread = float(numbers.std(ddof=1)) if len(numbers) > 1 else 0.0
    return AttributeReport(
        attribute=name,
        grouping=grouping.how,
        groups=count_groups(grouping, policy=policy),
        measures=(measure_estimates(estimates, grouping, policy),),
        disparities=(
            estimate_disparity(
                estimates,
                grouping,
                kind="standardised_difference",
                line=policy.mean_line,
                policy=policy,
                scale=spread,
            ),
            estimate_disparity(estimates, grouping, kind="difference", line=None, policy=policy),
        ),
    )
