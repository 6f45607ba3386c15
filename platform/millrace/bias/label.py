"""Bias of the label, before any training: how often, or how much, each group gets what the target records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millrace.bias.crossings import cross_columns
from millrace.bias.distributions import distributions_by_group
from millrace.bias.estimates import Estimates, estimate_disparity, measure_estimates
from millrace.bias.estimates import compared as compared_estimates
from millrace.bias.facet_tables import Company, count_facets
from millrace.bias.facets import measure_facets
from millrace.bias.figures import AttributeReport, Disparity, Facet, Measure, Significance, SubgroupSearch
from millrace.bias.groups import Grouping, group_rows
from millrace.bias.numbers import group_means, numeric_target
from millrace.bias.outcomes import Outcomes, read_outcomes
from millrace.bias.policy import Policy, shipped_policy
from millrace.bias.rates import Rates, compared, measure_rates, rate_disparity
from millrace.bias.report import BiasReport
from millrace.bias.scoring_rates import scoring_rates
from millrace.bias.significance import adjusted, estimate_significance, rate_significance
from millrace.bias.subgroups import search_outcome
from millrace.bias.table import (
    check_sensitive,
    check_weights,
    count_groups,
    notes_on,
    require_column,
    seed_of,
    strata_codes,
)
from millrace.bias.weights import NOT_WEIGHTED, worth_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from millrace.contracts.task import Answers


def measure_label_bias(
    frame: pd.DataFrame,
    *,
    answers: Answers,
    seed: int,
    policy: Policy | None = None,
    strata: str | None = None,
    weights: np.ndarray | None = None,
) -> BiasReport:
    """Selection rates (classification) or means (regression) of the target by group, for each sensitive column.

    With a positive value that value is the outcome; without one, each class is, against all others. Rows without a
    target are left out and counted. `strata` names the column within which Clarify's conditional disparity compares.
    `weights` of the rows (a classification's) make every share and rate a weighted one; see `weights`.

    Raises:
        BadInput: a column or the positive value is not there, the target has no value, or a regression target holds
            something that is not a number.
    """
    policy = policy or shipped_policy()
    sensitive = check_sensitive(frame, answers)
    target = require_column(frame, answers.target, field="target")
    present = target.notna().to_numpy()
    kept = frame if present.all() else frame.loc[present]
    check_weights(weights, answers)
    there = None if weights is None else weights[present]
    groupings = {
        name: group_rows(require_column(kept, name, field="sensitive"), policy=policy, weights=there)
        for name in sensitive
    }
    crossed, left_out = cross_columns(groupings, policy)
    searches: tuple[SubgroupSearch, ...] = ()
    notes = notes_on(groupings)
    if answers.task_type == "regression":
        numbers = numeric_target(target[present], answers.target)
        measured = [_means_of(name, item, numbers, policy, seed) for name, item in (groupings | crossed).items()]
        outcomes: tuple[str, ...] = ()
        positive = None
    else:
        read = read_outcomes(target[present], answers, policy)
        company = Company(strata=None if strata is None else strata_codes(kept, strata, policy))
        measured = [_rates_of(name, item, read, policy, seed, company) for name, item in groupings.items()]
        measured += [_rates_of(name, item, read, policy, seed, None) for name, item in crossed.items()]
        if weights is None:
            searches = search_outcome(groupings, read.codes, read, metric="selection_rate", policy=policy, seed=seed)
        else:
            notes = (*notes, NOT_WEIGHTED)
        outcomes, positive, notes = read.measured, read.positive, (*notes, *read.notes)
    tested = adjusted(measured)
    return BiasReport(
        subject="label",
        task_type=answers.task_type,
        target=answers.target,
        positive=positive,
        outcomes=outcomes,
        rows=int(present.sum()),
        rows_without_target=int((~present).sum()),
        attributes=tested[: len(groupings)],
        notes=notes,
        policy=policy,
        seed=seed,
        crossings=tested[len(groupings) :],
        crossings_left_out=left_out,
        searches=searches,
        weights=None if there is None else worth_of(there),
    )


def _rates_of(
    name: str, grouping: Grouping, outcomes: Outcomes, policy: Policy, seed: int, company: Company | None
) -> AttributeReport:
    import numpy as np

    classes = len(outcomes.names)
    shape = len(grouping.names), classes
    table, weighted = grouping.tally(grouping.codes * classes + outcomes.codes, shape[0] * classes)
    table = table.reshape(shape)
    behind = None if weighted is None else weighted.reshaped(shape).over(1)
    groups = count_groups(grouping, name=name, policy=policy)
    chosen = np.array([group.compared for group in groups])
    measures: list[Measure] = []
    disparities: list[Disparity] = []
    tests: list[Significance] = []
    facets: list[Facet] = []
    for outcome in outcomes.measured:
        successes = table[:, outcomes.names.index(outcome)]
        shown = None if outcomes.positive is not None else outcome
        rates = Rates("selection_rate", shown, successes, table.sum(axis=1), True, behind)
        measures.append(measure_rates(rates, grouping, policy))
        chance = seed_of(seed, name, "selection_rate", outcome)
        disparities += [
            rate_disparity(rates, grouping, kind="ratio", policy=policy, seed=chance),
            rate_disparity(rates, grouping, kind="difference", policy=policy, seed=chance),
        ]
        tests.append(
            rate_significance(rates, compared(rates, grouping, policy), permutations=policy.permutations, seed=chance)
        )
        if company is not None:
            label = outcomes.codes == outcomes.names.index(outcome)
            counts = count_facets(grouping, chosen, label=label, predicted=None, company=company, seed=chance)
            facets += measure_facets(counts, grouping.names, chosen, outcome=shown, policy=policy, seed=chance)
    return AttributeReport(
        attribute=name,
        grouping=grouping.how,
        groups=groups,
        measures=tuple(measures),
        disparities=tuple(disparities),
        significance=tuple(tests),
        facets=tuple(facets),
    )


def _means_of(
    name: str, grouping: Grouping, numbers: np.ndarray[Any, Any], policy: Policy, seed: int
) -> AttributeReport:
    means, errors, rows = group_means(numbers, grouping)
    estimates = Estimates("mean", "target", means, errors, rows)
    above, chance = scoring_rates(numbers, grouping), seed_of(seed, name, "scoring_rate")
    spread = float(numbers.std(ddof=1)) if len(numbers) > 1 else 0.0
    chosen = compared(above, grouping, policy)
    return AttributeReport(
        attribute=name,
        distributions=distributions_by_group(
            numbers, numbers, grouping, chosen, deviation=spread, policy=policy, seed=chance
        ),
        grouping=grouping.how,
        groups=count_groups(grouping, name=name, policy=policy),
        measures=(
            measure_estimates(estimates, grouping, policy, overall=float(numbers.mean())),
            measure_rates(above, grouping, policy),
        ),
        disparities=(
            estimate_disparity(
                estimates,
                grouping,
                kind="standardised_difference",
                policy=policy,
                scale=spread,
            ),
            estimate_disparity(estimates, grouping, kind="difference", policy=policy),
            rate_disparity(above, grouping, kind="ratio", policy=policy, seed=chance),
        ),
        significance=(
            estimate_significance(estimates, compared_estimates(estimates, grouping, policy)),
            rate_significance(above, compared(above, grouping, policy), permutations=policy.permutations, seed=chance),
        ),
    )
