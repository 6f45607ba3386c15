"""The automatic search for the worst subgroup: every conjunction of up to three groups, with a permutation p-value.

The score is the likelihood ratio of Kulldorff's Bernoulli scan statistic (1997) for a lower rate inside than outside,
as in multi-dimensional subset scanning (Z. Zhang, D. Neill 2016). Under the null hypothesis the outcomes are dealt to
the rows at random: the counts of the cells are multivariate hypergeometric and every subgroup is a sum of cells, so all
subgroups are scored in every permutation and the p-value of the best one holds for the whole search.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from millrace.bias.figures import Subgroup, SubgroupSearch
from millrace.bias.intervals import quantile, wilson

if TYPE_CHECKING:
    import numpy as np

    from millrace.bias.groups import Grouping
    from millrace.bias.outcomes import Outcomes
    from millrace.bias.policy import Policy

SHOWN = 5
"""Subgroups that are listed."""
MOST_COLUMNS = 6
"""Columns searched together, in the order given; beyond it the number of conjunctions of three grows out of hand."""


BLOCK = 100
"""Permutations scored together: 8,000 subgroups of them take 6 MB a matrix."""


@dataclass(frozen=True)
class _Cells:
    """The distinct combinations of all columns' groups that occur, with their rows and those with the outcome."""

    parts: np.ndarray
    rows: np.ndarray
    hits: np.ndarray


@dataclass(frozen=True)
class _Family:
    """Every subgroup that is scored: its (column, group) conditions, and which cells it is made of."""

    keys: list[tuple[tuple[int, int], ...]]
    members: Any
    """Sparse matrix of 0 and 1, shape (subgroups, cells)."""
    too_small: int


@dataclass(frozen=True)
class _Rate:
    hits: int
    rows: int
    total_hits: int
    total_rows: int

    def subgroup(
        self, conditions: tuple[tuple[str, str], ...], *, score: float, p: float, confidence: float
    ) -> Subgroup:
        import numpy as np

        low, high = wilson(np.array([self.hits]), np.array([self.rows]), quantile(confidence))
        return Subgroup(
            conditions=conditions,
            rows=self.rows,
            count=self.hits,
            value=self.hits / self.rows,
            low=float(low[0]),
            high=float(high[0]),
            elsewhere=(self.total_hits - self.hits) / (self.total_rows - self.rows),
            score=score,
            p=p,
        )


def search_outcome(
    groupings: dict[str, Grouping], codes: np.ndarray, outcomes: Outcomes, *, metric: str, policy: Policy, seed: int
) -> tuple[SubgroupSearch, ...]:
    """The search for where the favourable outcome (or else the most frequent one) is rarest; none without columns."""
    if not groupings:
        return ()
    first = outcomes.measured[0]
    shown = None if outcomes.positive is not None else first
    hits = codes == outcomes.names.index(first)
    return (find_worst(groupings, hits, metric=metric, outcome=shown, policy=policy, seed=seed),)


def find_worst(
    groupings: dict[str, Grouping],
    hits: np.ndarray,
    *,
    metric: str,
    policy: Policy,
    seed: int,
    outcome: str | None = None,
) -> SubgroupSearch:
    """The subgroups where `hits` (one truth value a row) is rarest against everyone else, the worst first.

    Subgroups below the policy's minimum of rows are not scored; their number is given.
    """
    import numpy as np

    searched = dict(itertools.islice(groupings.items(), MOST_COLUMNS))
    left_out = tuple(groupings)[MOST_COLUMNS:]
    cells = _cells(list(searched.values()), hits)
    family = _conjunctions(list(searched.values()), cells, policy)
    total = int(cells.hits.sum()), int(cells.rows.sum())
    if not family.keys or not 0 < total[0] < total[1]:
        return SubgroupSearch(metric, outcome, (), len(family.keys), family.too_small, left_out, None)
    size, inside = family.members @ cells.rows, family.members @ cells.hits
    scores = scan_score(inside, size, *total)
    drawn = np.random.default_rng(seed).multivariate_hypergeometric(
        cells.rows, total[0], size=policy.permutations, method="marginals"
    )
    best = np.concatenate(
        [
            scan_score(family.members @ drawn[start : start + BLOCK].T, size[:, None], *total).max(axis=0)
            for start in range(0, len(drawn), BLOCK)
        ]
    )
    found = []
    for index in np.lexsort((size, -scores))[:SHOWN].tolist():
        if scores[index] > 0:
            # equal scores may differ in the last digit
            p = (1 + int((best >= scores[index] - 1e-9).sum())) / (1 + len(best))
            conditions = tuple(
                (list(searched)[column], list(searched.values())[column].names[group])
                for column, group in family.keys[index]
            )
            rate = _Rate(int(inside[index]), int(size[index]), *total)
            found.append(rate.subgroup(conditions, score=float(scores[index]), p=p, confidence=policy.confidence))
    return SubgroupSearch(
        metric, outcome, tuple(found), len(family.keys), family.too_small, left_out, policy.permutations
    )


def scan_score(hits: np.ndarray, rows: np.ndarray, total_hits: int, total_rows: int) -> np.ndarray:
    """Log likelihood ratio of two rates, inside and outside, against one; 0 where the inside is not lower."""
    import numpy as np
    from scipy.special import xlogy

    def fit(successes: np.ndarray, trials: np.ndarray) -> np.ndarray:
        fitted: np.ndarray = xlogy(successes, successes / trials) + xlogy(trials - successes, 1 - successes / trials)
        return fitted

    inside, outside = fit(hits, rows), fit(total_hits - hits, total_rows - rows)
    together = fit(np.array(total_hits), np.array(total_rows))
    lower = hits * (total_rows - rows) < (total_hits - hits) * rows
    return np.where(lower, np.maximum(inside + outside - together, 0.0), 0.0)


def _cells(groupings: list[Grouping], hits: np.ndarray) -> _Cells:
    import numpy as np

    sizes = [len(grouping.names) for grouping in groupings]
    keys = np.ravel_multi_index([grouping.codes for grouping in groupings], sizes)
    found, inverse = np.unique(keys, return_inverse=True)
    rows = np.bincount(inverse, minlength=len(found))
    return _Cells(
        np.stack(np.unravel_index(found, sizes), axis=1),
        rows,
        np.bincount(inverse, weights=hits, minlength=len(found)).astype(np.int64),
    )


def _conjunctions(groupings: list[Grouping], cells: _Cells, policy: Policy) -> _Family:
    import numpy as np
    from scipy import sparse

    keys: list[tuple[tuple[int, int], ...]] = []
    owners, columns_of, too_small = [], [], 0
    for depth in range(1, min(policy.crossing_depth, len(groupings)) + 1):
        for columns in itertools.combinations(range(len(groupings)), depth):
            found, inverse = np.unique(cells.parts[:, columns], axis=0, return_inverse=True)
            inverse = inverse.reshape(-1)
            size = np.bincount(inverse, weights=cells.rows, minlength=len(found))
            named = np.all(
                [np.array(groupings[column].comparable)[found[:, place]] for place, column in enumerate(columns)],
                axis=0,
            )
            enough = named & (size >= policy.minimum_group) & (size < cells.rows.sum())
            too_small += int((named & ~enough).sum())
            number = np.full(len(found), -1)
            number[enough] = len(keys) + np.arange(int(enough.sum()))
            keys += [tuple(zip(columns, row, strict=True)) for row in found[enough].tolist()]
            scored = np.flatnonzero(number[inverse] >= 0)
            owners.append(number[inverse][scored])
            columns_of.append(scored)
    where = np.concatenate(owners), np.concatenate(columns_of)
    members = sparse.csr_matrix((np.ones(len(where[0])), where), shape=(len(keys), len(cells.rows)))
    return _Family(keys, members, too_small)
