"""The figures of the proxy search."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from millrace.bias.figures import Disparity
from millrace.pages.filters import visible


@dataclass(frozen=True)
class GroupAuc:
    """How well the other columns tell one group from everybody else, on rows that the fit did not see."""

    group: str
    rows: int
    auc: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Information:
    """What one column tells about the attribute.

    `explained` is the share of the attribute's entropy that the column removes (Theil's U), less what chance alone
    gives; `normalised` is the mutual information over the mean of both entropies, as scikit-learn has it.
    """

    feature: str
    explained: float
    low: float
    high: float
    normalised: float
    p: float | None
    """G-test of independence; None when one of the two does not vary."""
    p_holm: float | None


@dataclass(frozen=True)
class Chain:
    """Two or three columns that tell more together than the best of them without the last."""

    features: tuple[str, ...]
    explained: float
    alone: float
    """Explained by the best of its parts."""
    p: float
    """That the last column adds nothing, Bonferroni over all chains that were searched."""


@dataclass(frozen=True)
class Removal:
    """The same kind of model with the sensitive columns and without them: what a group loses or wins by that.

    Both select as many rows as have the outcome (classification); a regression's mean predictions are compared.
    """

    kept: Disparity
    removed: Disparity
    changed: float | None
    """Share of the rows that get another answer; None for a regression."""


@dataclass(frozen=True)
class Quality:
    """How good the two models are: AUC with DeLong's interval, or r² with Fisher's."""

    metric: str
    kept: tuple[float, float, float]
    removed: tuple[float, float, float]


@dataclass(frozen=True)
class AttributeProxies:
    """One sensitive column."""

    attribute: str
    groups: tuple[GroupAuc, ...]
    features: tuple[Information, ...]
    """Every column that was looked at, the most telling first."""
    chains: tuple[Chain, ...]
    chains_searched: int
    removal: Removal | None
    """None where fewer than two groups can be compared."""

    @property
    def best(self) -> GroupAuc | None:
        """The group that is told best."""
        known = [group for group in self.groups if group.auc is not None]
        return max(known, key=lambda group: group.auc or 0.0, default=None)

    @property
    def sentence(self) -> str:
        """How well the best told group is told, in words."""
        best = self.best
        if best is None or best.auc is None:
            return f"How well the other columns tell {visible(self.attribute, 60)} could not be checked."
        if best.low is None or best.low <= 0.5:
            return (
                f"As far as these rows can show, the other columns tell {visible(self.attribute, 60)} no better than "
                "a coin would."
            )
        lead = self.features[0]
        return (
            f"Given a row of {visible(best.group, 60)} and a row of somebody else, a model that sees only the other "
            f"columns picks the right one {best.auc * 100:.0f} times in 100; a coin does 50 times. "
            f"{visible(lead.feature, 60)} alone explains {lead.explained * 100:.1f}% of who is in which group."
        )


@dataclass(frozen=True)
class ProxyReport:
    """The proxy search of a table: a part of a bias report."""

    rows: int
    """Rows looked at."""
    rows_in_all: int
    folds: int
    attributes: tuple[AttributeProxies, ...]
    left_out: tuple[tuple[str, str], ...]
    """Columns that were not looked at, and why."""
    quality: Quality | None
    outcome: str | None
    """The outcome that the demonstration of removal predicts; None for a regression."""
    seed: int

    name: ClassVar[str] = "proxies"
    section: ClassVar[int] = 9
    template: ClassVar[str] = "bias_proxies.html"

    def document(self) -> dict[str, Any]:
        """Every figure."""
        return asdict(self)
