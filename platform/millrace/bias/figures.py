"""The figures of a report: what was counted and measured of each group, and the distances between groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from millrace.bias.score_figures import Abroca, Distribution, Reliability, ScoreBins
from millrace.bias.verdicts import Better, worst
from millrace.contracts.stages import Verdict

MISSING = "(missing)"
"""Name of the group of rows without a value."""

Unit = Literal["share", "target", "ratio", "deviations"]
"""What a figure is counted in: a share of 1, the target's own unit, a ratio, or standard deviations of the target."""

Method = Literal["Newcombe", "Donner-Zou", "Wilson", "profile", "bootstrap", "DeLong", "none"]
"""How an interval was made; `none` where there is none."""
TestName = Literal["Fisher exact", "G", "permutation", "Welch", "none"]


@dataclass(frozen=True)
class Group:
    """A group of people as counted: every row belongs to exactly one."""

    name: str
    rows: int
    share: float
    compared: bool
    remark: str = ""
    """Why the group is not compared."""
    reference: float | None = None
    """Share of the reference population that the policy names; None where it names none."""
    reference_gap: float | None = None
    """Share less that of the reference population."""


@dataclass(frozen=True)
class GroupValue:
    """One metric of one group. `rows` is what the metric is taken over, `count` how many of them count."""

    group: str
    value: float | None
    low: float | None
    high: float | None
    rows: int
    count: int | None
    compared: bool
    impact_ratio: float | None = None
    """Selection rate over the highest of the compared groups; None for other metrics and groups not compared."""


@dataclass(frozen=True)
class Summary:
    """The aggregates of fairlearn's MetricFrame over the compared groups; `overall` is the metric of all rows."""

    overall: float
    group_min: float
    group_max: float
    difference: float
    difference_to_overall: float
    ratio: float | None
    ratio_to_overall: float | None


@dataclass(frozen=True)
class Measure:
    """One metric by group, for one outcome of a classification target. The intervals are those of single groups."""

    metric: str
    outcome: str | None
    unit: Unit
    values: tuple[GroupValue, ...]
    summary: Summary | None = None
    """None without a group to compare."""


@dataclass(frozen=True)
class RowWeights:
    """Rows that do not count alike: how many there are, and what they are worth without weights (Kish 1965)."""

    rows: int
    effective_rows: float


@dataclass(frozen=True)
class Disparity:
    """The distance between the groups in one metric, and its verdict when a line is drawn.

    A difference is the largest value minus the smallest, a ratio the smallest over the largest, as in fairlearn.
    `low` and `high` hold for all pairs of groups together. `bootstrap` is the percentile interval of resamples: a
    cross-check that no verdict rests on, because it is too narrow for small groups.
    """

    metric: str
    outcome: str | None
    unit: Unit
    value: float | None
    low: float | None
    high: float | None
    lowest: str | None
    highest: str | None
    better: Better
    line: float | None
    verdict: Verdict | None
    reason: str
    bootstrap: tuple[float, float] | None = None
    power: Power | None = None

    @property
    def name(self) -> str:
        """The metric, followed by the outcome when the report has several."""
        return self.metric if self.outcome is None else f"{self.metric}:{self.outcome}"


@dataclass(frozen=True)
class Power:
    """What the sample of a judged distance of rates could have found."""

    smallest_gap: float | None
    """Gap of rates found with a power of 80%, between the groups that differ most; None when no gap is."""
    glaring_gap: float
    """Chance that the policy's glaring gap is found; below the policy's floor nothing found means nothing."""
    rows_to_settle: int | None
    """Rows at which an inconclusive interval would leave the line, if the figures stayed as they are."""


@dataclass(frozen=True)
class Significance:
    """Whether the groups differ at all. `p` is of the named test, the one that is adjusted with all others.

    `p_z` (pair of groups that differs most, times pairs) and `p_permutation` are cross-checks. None: could not check.
    """

    metric: str
    outcome: str | None
    test: TestName
    p: float | None
    p_z: float | None
    p_permutation: float | None
    p_holm: float | None = None
    p_bh: float | None = None


@dataclass(frozen=True)
class MetricValue:
    """One of Clarify's metrics of one facet. `value` may be infinite (x/0), and is None where it was not measured."""

    metric: str
    value: float | None
    low: float | None
    high: float | None
    method: Method
    remark: str
    """What Clarify's edge rules, or a lack of rows, did to the value; empty where nothing did."""


@dataclass(frozen=True)
class Facet:
    """A group (`d`) against everyone else (`a`), rows without a value included, as in Clarify."""

    group: str
    outcome: str | None
    rows: int
    others: int
    metrics: tuple[MetricValue, ...]


@dataclass(frozen=True)
class Population:
    """The groups of a sensitive column, counted."""

    groups: int
    groups_compared: int
    groups_not_compared: int
    rows_compared: int
    rows_missing: int
    """Rows without a value in the column."""


@dataclass(frozen=True)
class AttributeReport:
    """One sensitive column."""

    attribute: str
    grouping: str
    """How the groups were made, in words."""
    groups: tuple[Group, ...]
    measures: tuple[Measure, ...]
    disparities: tuple[Disparity, ...]
    significance: tuple[Significance, ...] = ()
    facets: tuple[Facet, ...] = ()
    reliability: tuple[Reliability, ...] = ()
    """Empty where no scores were given, or where they are no chances."""
    abroca: tuple[Abroca, ...] = ()
    """Empty where no scores were given."""
    scores: ScoreBins | None = None
    distributions: tuple[Distribution, ...] = ()
    """Of numbers only; empty for classes."""

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of the column's disparities; not assessable when the policy judges none of them."""
        return worst(item.verdict for item in self.disparities if item.verdict is not None) or "not assessable"

    @property
    def population(self) -> Population:
        """Who is compared and who is not, counted."""
        rows = [group.rows for group in self.groups if group.compared]
        return Population(
            groups=len(self.groups),
            groups_compared=len(rows),
            groups_not_compared=len(self.groups) - len(rows),
            rows_compared=sum(rows),
            rows_missing=sum(group.rows for group in self.groups if group.name == MISSING),
        )


@dataclass(frozen=True)
class Subgroup:
    """A subgroup that the search found: conditions (column, group) that all hold, and its rate against elsewhere."""

    conditions: tuple[tuple[str, str], ...]
    rows: int
    count: int
    value: float
    low: float
    high: float
    elsewhere: float
    score: float
    p: float
    """Chance that the best of all subgroups of a fair table scores as high."""


@dataclass(frozen=True)
class SubgroupSearch:
    """The search for the worst subgroup in one rate. Empty `subgroups`: none is below everyone else."""

    metric: str
    outcome: str | None
    """The outcome whose rate it is, where the report has several."""
    subgroups: tuple[Subgroup, ...]
    searched: int
    too_small: int
    """Subgroups below the minimum of rows, which were not scored."""
    columns_left_out: tuple[str, ...]
    permutations: int | None
    """None when there was nothing to search."""
