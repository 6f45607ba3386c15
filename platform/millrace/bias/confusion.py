"""Predictions of classes: rates by group from the counts of every (group, label, prediction) that occurs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from millrace.bias.abroca import abroca_by_group
from millrace.bias.auc import auc_by_group
from millrace.bias.calibration import reliability_by_group
from millrace.bias.estimates import compared as compared_estimates
from millrace.bias.estimates import estimate_disparity, measure_estimates
from millrace.bias.facet_tables import Company, count_facets
from millrace.bias.facets import measure_facets
from millrace.bias.figures import AttributeReport, Disparity, Facet, Measure, Significance
from millrace.bias.macro import macro_average
from millrace.bias.rates import Rates, compared, measure_rates, rate_disparity, rate_gap
from millrace.bias.score_bins import count_scores
from millrace.bias.score_figures import Abroca, Reliability, ScoreBins
from millrace.bias.significance import estimate_significance, rate_significance
from millrace.bias.table import count_groups, seed_of
from millrace.bias.verdicts import judge
from millrace.bias.weights import Weighted
from millrace.bias.wording import reason

if TYPE_CHECKING:
    import numpy as np

    from millrace.bias.groups import Grouping
    from millrace.bias.outcomes import Outcomes
    from millrace.bias.policy import Policy

_ODDS = ("true_positive_rate", "false_positive_rate")
MOST_KEYS = 1_000_000
"""Combinations that are counted in one table (8 MB); more, as with 10,000 classes, are found by sorting."""
_RATES = ("selection_rate", *_ODDS, "precision")


@dataclass(frozen=True)
class Cells:
    """Rows by group, label and prediction: one entry for every combination that occurs."""

    group: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    rows: np.ndarray
    groups: int
    weighted: Weighted | None = None
    """What stands behind `rows` where they are sums of weights."""

    def against(self, outcome: int) -> Cells:
        """The two-class cells of one outcome (1) against all others (0)."""
        return self._of(self.truth == outcome, self.predicted == outcome)

    def hits(self) -> Cells:
        """The cells of right (1) and wrong (0) predictions; every label is 1."""
        import numpy as np

        right = self.truth == self.predicted
        return self._of(np.ones(len(right), dtype=bool), right)

    def rate(self, metric: str, outcome: str | None = None) -> Rates:
        """A rate by group, of two-class cells."""
        actual, said = self.truth == 1, self.predicted == 1
        every = self.rows > 0
        trials, successes = {
            "accuracy": (every, self.truth == self.predicted),
            "selection_rate": (every, said),
            "true_positive_rate": (actual, actual & said),
            "false_positive_rate": (~actual, ~actual & said),
            "precision": (said, actual & said),
        }[metric]
        weighted = None if self.weighted is None else self.weighted.total(self.group, trials, self.groups)
        return Rates(metric, outcome, self._total(successes), self._total(trials), metric == "selection_rate", weighted)

    def _of(self, truth: np.ndarray, predicted: np.ndarray) -> Cells:
        return count_cells(self.group, truth, predicted, self.groups, self.rows, self.weighted)

    def _total(self, mask: np.ndarray) -> np.ndarray:
        import numpy as np

        total: np.ndarray = np.bincount(self.group[mask], weights=self.rows[mask], minlength=self.groups)
        return total if self.weighted is not None else total.astype(int)


def classified(
    name: str,
    grouping: Grouping,
    outcomes: Outcomes,
    *,
    truth: np.ndarray,
    predicted: np.ndarray,
    policy: Policy,
    seed: int,
    company: Company | None,
) -> AttributeReport:
    """Rates by group and their distances for one sensitive column or crossing.

    `company` is what Clarify's metrics need beside the counts; None leaves these metrics out.
    """
    import numpy as np

    cells = count_cells(
        grouping.codes, truth, predicted, len(grouping.names), grouping.weights, behind_rows(grouping.weights)
    )
    groups = count_groups(grouping, name=name, policy=policy)
    chosen = np.array([group.compared for group in groups])
    measures: list[Measure] = []
    disparities: list[Disparity] = []
    tests: list[Significance] = []
    facets: list[Facet] = []
    by_metric: list[Rates] = []
    for outcome in outcomes.measured:
        shown = None if outcomes.positive is not None else outcome
        place = outcomes.names.index(outcome)
        chance = seed_of(seed, name, outcome)
        two = cells.against(place)
        rates = [two.rate(metric, shown) for metric in _RATES]
        measures += [measure_rates(item, grouping, policy) for item in rates]
        disparities += _judged(rates, grouping, policy, chance)
        tests += [_significance(item, grouping, policy, chance) for item in rates]
        disparities.append(_equalized_odds([item for item in rates if item.metric in _ODDS], grouping, policy))
        if company is not None:
            label, said = truth == place, predicted == place
            counts = count_facets(grouping, chosen, label=label, predicted=said, company=company, seed=chance)
            facets += measure_facets(counts, grouping.names, chosen, outcome=shown, policy=policy, seed=chance)
        by_metric.extend(rates)
    if outcomes.positive is None and len(outcomes.measured) > 1:
        for metric in ("true_positive_rate", "precision"):
            parts = [item for item in by_metric if item.metric == metric]
            macro = macro_average(f"macro_{metric}", parts, grouping.rows)
            whole = macro_average(f"macro_{metric}", [_together(item) for item in parts], grouping.rows)
            measures.append(measure_estimates(macro, grouping, policy, overall=float(whole.values[0])))
            disparities.append(estimate_disparity(macro, grouping, kind="difference", policy=policy))
            tests.append(estimate_significance(macro, compared_estimates(macro, grouping, policy)))
    accuracy = cells.hits().rate("accuracy")
    measures.append(measure_rates(accuracy, grouping, policy))
    disparities += _judged([accuracy], grouping, policy, seed_of(seed, name))
    tests.append(_significance(accuracy, grouping, policy, seed_of(seed, name)))
    reliability: tuple[Reliability, ...] = ()
    areas: tuple[Abroca, ...] = ()
    bins: ScoreBins | None = None
    if company is not None and company.scores is not None and company.auc is not None and outcomes.positive is not None:
        favourable = truth == outcomes.names.index(outcomes.positive)
        auc = auc_by_group(company.scores, favourable, grouping)
        measures.append(measure_estimates(auc, grouping, policy, overall=company.auc))
        disparities.append(estimate_disparity(auc, grouping, kind="difference", policy=policy))
        tests.append(estimate_significance(auc, compared_estimates(auc, grouping, policy)))
        chance = seed_of(seed, name, "abroca")
        areas = abroca_by_group(
            company.scores, favourable, grouping, chosen, chances=company.chances, policy=policy, seed=chance
        )
        bins = count_scores(company.scores, favourable, grouping, chances=company.chances)
        if company.chances:
            reliability = reliability_by_group(
                company.scores, favourable, grouping, chosen, policy=policy, seed=seed_of(seed, name, "calibration")
            )
    return AttributeReport(
        attribute=name,
        grouping=grouping.how,
        groups=groups,
        measures=tuple(measures),
        disparities=tuple(disparities),
        significance=tuple(tests),
        facets=tuple(facets),
        reliability=reliability,
        abroca=areas,
        scores=bins,
    )


def _together(rates: Rates) -> Rates:
    """The rate of all groups together, as one group."""
    weighted = rates.weighted
    if weighted is not None:
        weighted = Weighted(weighted.squares.sum(keepdims=True), weighted.rows.sum(keepdims=True))
    return replace(
        rates,
        successes=rates.successes.sum(keepdims=True),
        trials=rates.trials.sum(keepdims=True),
        weighted=weighted,
    )


def count_cells(
    group: np.ndarray,
    truth: np.ndarray,
    predicted: np.ndarray,
    groups: int,
    rows: np.ndarray | None = None,
    weighted: Weighted | None = None,
) -> Cells:
    """The rows counted, each `rows` times; what is done with the cells does not depend on how many rows there are.

    With `weighted`, what stands behind each entry, `rows` are weights.
    """
    import numpy as np

    classes = max(2, 1 + int(max(truth.max(initial=0), predicted.max(initial=0))))
    codes = (group.astype(np.int64) * classes + truth) * classes + predicted
    size = groups * classes * classes
    behind: Weighted | None = None
    if weighted is None and size <= MOST_KEYS:
        table = np.bincount(codes, weights=rows, minlength=size).astype(np.int64)
        present = np.flatnonzero(table)
        counts = table[present]
    else:
        keys, place = np.unique(codes, return_inverse=True)
        present = keys
        counts = np.bincount(place, weights=rows, minlength=len(present))
        if weighted is None:
            counts = counts.astype(np.int64)
        else:
            behind = weighted.total(place, np.ones(len(codes), dtype=bool), len(present))
    rest, said = np.divmod(present, classes)
    found, actual = np.divmod(rest, classes)
    return Cells(found, actual, said, counts, groups, behind)


def behind_rows(weights: np.ndarray | None) -> Weighted | None:
    """What stands behind single rows of these weights."""
    import numpy as np

    return None if weights is None else Weighted(weights**2, np.ones(len(weights), dtype=np.int64))


def _judged(rates: list[Rates], grouping: Grouping, policy: Policy, seed: int) -> list[Disparity]:
    found = []
    for item in rates:
        if item.metric == "selection_rate":
            found.append(rate_disparity(item, grouping, kind="ratio", policy=policy, seed=seed))
        found.append(rate_disparity(item, grouping, kind="difference", policy=policy, seed=seed))
    return found


def _significance(rates: Rates, grouping: Grouping, policy: Policy, seed: int) -> Significance:
    return rate_significance(rates, compared(rates, grouping, policy), permutations=policy.permutations, seed=seed)


def _equalized_odds(odds: list[Rates], grouping: Grouping, policy: Policy) -> Disparity:
    # each of the two at half the risk, so that the larger one's interval keeps the confidence
    half = 1 - (1 - policy.confidence) / 2
    gaps = [rate_gap(rates, compared(rates, grouping, policy), kind="difference", confidence=half) for rates in odds]
    known = [gap for gap in gaps if gap is not None]
    both = len(known) == len(odds)
    widest = max(known, key=lambda gap: gap.value) if both else None
    low = max(gap.low for gap in known) if both else None
    high = max(gap.high for gap in known) if both else None
    line = policy.line("equalized_odds_difference")
    verdict = None if line is None else judge(low, high, line=line, better="lower")
    return Disparity(
        metric="equalized_odds_difference",
        outcome=odds[0].outcome,
        unit="share",
        value=widest.value if widest else None,
        low=low,
        high=high,
        lowest=grouping.names[widest.lowest] if widest else None,
        highest=grouping.names[widest.highest] if widest else None,
        better="lower",
        line=line,
        verdict=verdict,
        reason=reason(verdict, line=line, better="lower", unit="share")
        if both
        else f"Fewer than two groups have {policy.minimum_group} rows of either outcome to compare.",
    )
