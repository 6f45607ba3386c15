"""What a bias report says of a mitigation: the methods side by side, what is recommended, and where all of it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from millrace.bias.figures import Unit
from millrace.bias.mitigation.document import MitigationDocument
from millrace.bias.mitigation.figures import Value
from millrace.bias.mitigation.names import Constraint, Method

Asker = Literal["policy", "person"]


@dataclass(frozen=True)
class Tried:
    """One method: the gap that the mitigation is about, before and after, and what it costs."""

    method: Method
    title: str
    moment: str
    needs_attribute: bool
    kept: bool
    failed: str | None
    """Why it could not be used; every figure is then absent."""
    before: Value | None
    after: Value | None
    unit: Unit
    accuracy: Value | None
    """What accuracy changes by."""
    closed: int
    opened: int
    """Gaps of every column and metric that close and open for certain."""


@dataclass(frozen=True)
class MitigationSection:
    """A mitigation in short: a part of a bias report. The report of the mitigation has every figure."""

    asked_by: Asker
    could_not: str | None
    """Why there is no report of a mitigation although it was asked for; everything else is then empty."""
    attribute: str = ""
    aim: Constraint | None = None
    gap: str = ""
    tried: tuple[Tried, ...] = ()
    recommended: Method | None = None
    reason: str = ""
    warnings: int = 0
    report_hash: str | None = None
    """That of the mitigation's document."""
    address: str = ""
    """Where the mitigation's page is, and the candidate in the registry: facts of one run, so on the page only."""
    candidate: str = ""

    name: ClassVar[str] = "mitigation"
    section: ClassVar[int] = 12
    template: ClassVar[str] = "bias_mitigation.html"

    def document(self) -> dict[str, Any]:
        """Every figure."""
        found = asdict(self)
        return {name: value for name, value in found.items() if name not in ("address", "candidate")}


def section_of(document: Mapping[str, Any], *, asked_by: Asker, address: str, candidate: str = "") -> MitigationSection:
    """The section from a mitigation's document.

    Raises:
        ValueError: it is no document of a mitigation.
    """
    whole = MitigationDocument.model_validate(document)
    tried = []
    for result in whole.results:
        about = whole.methods[result.method]
        gap = result.gap(whole.scope.attribute, whole.target_gap)
        accuracy = next((one.change for one in result.qualities if one.metric == "accuracy"), None)
        tried.append(
            Tried(
                method=result.method,
                title=about.title,
                moment=about.moment,
                needs_attribute=about.needs_attribute,
                kept=about.kept,
                failed=result.failed,
                before=None if gap is None else gap.before,
                after=None if gap is None else gap.after,
                unit="share" if gap is None else gap.unit,
                accuracy=accuracy,
                closed=result.moved("closed"),
                opened=result.moved("opened"),
            )
        )
    return MitigationSection(
        asked_by=asked_by,
        could_not=None,
        attribute=whole.scope.attribute,
        aim=whole.scope.constraint,
        gap=whole.target_gap,
        tried=tuple(tried),
        recommended=whole.recommendation.method,
        reason=whole.recommendation.reason,
        warnings=len(whole.warnings),
        report_hash=whole.report_hash,
        address=address,
        candidate=candidate,
    )
