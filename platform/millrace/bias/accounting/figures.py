"""The steps as a report tells them: shares of groups before and after each, and what is named."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from millrace.bias.accounting.counts import FilledColumn, StepName

if TYPE_CHECKING:
    from millrace.bias.accounting.shares import Shares
    from millrace.bias.accounting.words import Told

Finding = Literal["lost", "gone", "read as missing", "filled in"]
"""`lost`: the step kept a smaller part of the group than of everyone else. `gone`: none of its rows went on, and they
were too few for a test. `read as missing`: a text of the file that may be a group. `filled in`: people without a value
are counted as the group from here on."""


@dataclass(frozen=True)
class GroupFlow:
    """One group at one step, against everyone else.

    Rates are of the rows that came in. `ratio` is the rate kept over that of everyone else, with its interval; `p` is
    Fisher's exact test that both are kept alike. None: there was nobody to compare, or nothing came in.
    """

    group: str
    rows_in: int
    kept: int
    rows_out: int
    filled: int
    share_in: float | None
    share_out: float | None
    kept_rate: float | None
    others_kept_rate: float | None
    changed_rate: float | None
    """1 - `kept_rate`: rows that were left out, or in which a value was guessed."""
    others_changed_rate: float | None
    ratio: float | None
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    finding: Finding | None


@dataclass(frozen=True)
class AttributeFlow:
    """A sensitive column at one step. Every row is in one of the groups."""

    attribute: str
    grouping: str
    groups: tuple[GroupFlow, ...]


@dataclass(frozen=True)
class StepFlow:
    """One step; `remark` says what of it could not be counted."""

    step: StepName
    title: str
    rows_in: int
    kept: int
    rows_out: int
    attributes: tuple[AttributeFlow, ...]
    filled: tuple[FilledColumn, ...]
    remark: str

    @property
    def named(self) -> bool:
        """Whether the step did something to a group that a reader must know."""
        return any(group.finding for attribute in self.attributes for group in attribute.groups)


@dataclass(frozen=True)
class Accounting:
    """All steps in order: a part of a bias report."""

    steps: tuple[StepFlow, ...]
    line: float
    """Ratio of the rates kept below which a step is named."""
    confidence: float
    tests: int
    """Comparisons that the p-values are adjusted for."""
    not_counted: tuple[str, ...] = ()
    """Sensitive columns of the report whose groups nobody counted at these steps."""

    name: ClassVar[str] = "accounting"
    section: ClassVar[int] = 10
    template: ClassVar[str] = "bias_accounting.html"

    def document(self) -> dict[str, Any]:
        """Every figure."""
        return asdict(self)

    @property
    def attributes(self) -> tuple[str, ...]:
        """The sensitive columns that were counted at any step."""
        return tuple(dict.fromkeys(one.attribute for step in self.steps for one in step.attributes))

    def shares(self, attribute: str, at: str) -> Shares:
        """The groups of the column across the steps."""
        from millrace.bias.accounting.shares import shares_of

        return shares_of(self, attribute, at)

    def findings(self, at: str) -> tuple[Told, ...]:
        """What is named, in words whose figures point to their places below `at`."""
        from millrace.bias.accounting.words import tell

        return tell(self, at)

    def plain(self, at: str) -> tuple[str, tuple[Told, ...]]:
        """Heading and sentences for a reader of plain words."""
        from millrace.bias.accounting.words import HEADING, tell_plain

        return HEADING, tell_plain(self, at)
