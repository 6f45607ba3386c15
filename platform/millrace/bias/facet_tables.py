"""Rows counted for Clarify's metrics: by group, stratum, label and prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from millrace.bias.facets import FacetCounts
from millrace.bias.flip_test import flip_test

if TYPE_CHECKING:
    import numpy as np

    from millrace.bias.flip_test import Flips
    from millrace.bias.groups import Grouping


@dataclass(frozen=True)
class Company:
    """What may come with the rows beside labels and groups; None where it was not given."""

    strata: np.ndarray | None = None
    """Stratum of each row, 0, 1, …, for the conditional demographic disparity."""
    features: np.ndarray | None = None
    """Features as numbers, shape (rows, columns), for the flip test."""
    order: np.ndarray | None = None
    """Order of the rows that the flip test looks at them in; there when features are."""
    scores: np.ndarray | None = None
    """Score of each row for the favourable outcome."""
    auc: float | None = None
    """AUC of all rows together; there when scores are and an outcome is favourable."""

    @property
    def chances(self) -> bool:
        """Whether the scores can be chances, from 0 to 1; others have a rank only."""
        return self.scores is not None and bool(((self.scores >= 0) & (self.scores <= 1)).all())


def count_facets(
    grouping: Grouping,
    chosen: np.ndarray,
    *,
    label: np.ndarray,
    predicted: np.ndarray | None,
    company: Company,
    seed: int,
) -> FacetCounts:
    """The counts of one outcome: `label` and `predicted` say for each row whether it has it."""
    import numpy as np

    groups = len(grouping.names)
    said = label if predicted is None else predicted
    keys = (label.astype(np.int64) * 2 + said) + 4 * _strata(grouping, company)
    strata = 1 if company.strata is None else int(company.strata.max(initial=0)) + 1
    shape = groups, strata, 2, 2
    table, weighted = grouping.tally(keys, groups * strata * 4)
    table = table.reshape(shape)
    behind = None if weighted is None else weighted.reshaped(shape)
    flips: tuple[Flips | None, ...] | None = None
    if predicted is not None and company.features is not None:
        order = np.arange(len(label)) if company.order is None else company.order
        features, codes, said = company.features[order], grouping.codes[order], predicted[order]
        flips = tuple(
            flip_test(features, codes == group, said, seed=seed) if chosen[group] else None for group in range(groups)
        )
    return FacetCounts(
        table.sum(axis=1), None if company.strata is None else table, flips, predicted is not None, behind
    )


def _strata(grouping: Grouping, company: Company) -> np.ndarray:
    if company.strata is None:
        return grouping.codes
    strata: np.ndarray = grouping.codes * (int(company.strata.max(initial=0)) + 1) + company.strata
    return strata
