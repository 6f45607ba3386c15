"""A mitigation, measured: every method side by side, the planes of gap and accuracy, and what becomes the candidate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from millrace.bias.mitigation.compare import Holdout, compare, measure
from millrace.bias.mitigation.figures import Gap, Plane, Recommendation, Result, Scope
from millrace.bias.mitigation.methods import DESCRIPTIONS, Answered, answer, untreated
from millrace.bias.mitigation.names import Constraint, Method
from millrace.bias.mitigation.planes import plane
from millrace.bias.mitigation.problem import Problem
from millrace.bias.policy import Policy
from millrace.bias.report import plain
from millrace.contracts.canonical import sha256_json
from millrace.contracts.errors import StageFailed

if TYPE_CHECKING:
    from millrace.bias.report import BiasReport

FORMAT = 2
"""Version of the document's shape."""
TARGETS: dict[Constraint, str] = {
    "demographic-parity": "selection_rate_difference",
    "equalized-odds": "equalized_odds_difference",
}
"""The gap that a constraint is about."""
PLANES = ("selection_rate_difference", "equalized_odds_difference")
MOST_LOST = 0.05
"""Accuracy that a candidate may lose at most, at the far end of the interval."""


@dataclass(frozen=True)
class MitigationReport:
    """Nothing in it depends on the time."""

    scope: Scope
    results: tuple[Result, ...]
    planes: tuple[Plane, ...]
    recommendation: Recommendation
    policy: Policy

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of all methods."""
        return tuple(text for result in self.results for text in result.warnings)

    def document(self) -> dict[str, Any]:
        """The whole report as JSON; what could not be measured is null."""
        found: dict[str, Any] = plain(
            {
                "format": FORMAT,
                "scope": asdict(self.scope),
                "target_gap": TARGETS[self.scope.constraint],
                "methods": {result.method: asdict(DESCRIPTIONS[result.method]) for result in self.results},
                "results": [asdict(result) for result in self.results],
                "planes": [asdict(one) for one in self.planes],
                "recommendation": asdict(self.recommendation),
                "warnings": list(self.warnings),
                "policy": self.policy.document(),
            }
        )
        return found

    @cached_property
    def report_hash(self) -> str:
        """SHA-256 of the document's canonical JSON."""
        return sha256_json(self.document())


@dataclass(frozen=True)
class Mitigated:
    """The report and the models behind it."""

    report: MitigationReport
    before: Answered
    after: dict[Method, Answered]
    """Those that could be used."""


def mitigate(
    methods: Sequence[Method], problem: Problem, holdout: Holdout, *, attribute: str, before: Answered | None = None
) -> Mitigated:
    """Every method on the same rows against the same classifier without one.

    `attribute` is the treated column, or the columns joined by ` × `. `before` is what the untreated model says, where
    it need not be trained again. A method that cannot be used has its reason in the report.
    """
    start = before or untreated(problem)
    reports: dict[str, BiasReport] = {"": measure(holdout, start)}
    after: dict[Method, Answered] = {}
    results: list[Result] = []
    for method in dict.fromkeys(methods):
        try:
            after[method] = answer(method, problem)
        except StageFailed as error:
            results.append(Result(method, error.message, None, (), (), ()))
            continue
        reports[method] = measure(holdout, after[method])
        pair = (reports[""], reports[method])
        results.append(compare(method, holdout, before=start, after=after[method], reports=pair))
    scope = Scope(
        target=holdout.answers.target,
        positive=holdout.positive,
        attribute=attribute,
        groups=problem.groups,
        constraint=problem.constraint,
        train_rows=len(problem.train.label),
        test_rows=len(problem.test.label),
        classifier=type(problem.make()).__name__,
        seed=problem.seed,
    )
    planes = tuple(one for metric in PLANES if (one := plane(results, attribute, metric)) is not None)
    report = MitigationReport(scope, tuple(results), planes, recommend(results, scope), holdout.policy)
    return Mitigated(report, start, after)


def recommend(results: Sequence[Result], scope: Scope) -> Recommendation:
    """The method whose model is worth a person's look: it closes the gap for certain, at a bounded cost.

    Of several the one that opens the fewest other gaps, then the one with the smallest gap left.
    """
    metric = TARGETS[scope.constraint]
    worthy: list[tuple[int, float, Method, int]] = []
    for result in results:
        gap = result.gap(scope.attribute, metric)
        if not DESCRIPTIONS[result.method].kept or gap is None or gap.direction != "closed" or gap.after.value is None:
            continue
        lost = next(one.change.low for one in result.qualities if one.metric == "accuracy")
        if lost is not None and lost >= -MOST_LOST:
            opened = result.moved("opened")
            worthy.append((opened, gap.after.value, result.method, len(result.warnings)))
    if not worthy:
        return Recommendation(
            None,
            "No model that can be kept closes the gap for certain while its accuracy stays within "
            f"{MOST_LOST * 100:.0f} points.",
        )
    opened, left, method, warnings = min(worthy)
    warned = f"; {warnings} warning{'' if warnings == 1 else 's'} of what gets worse" if warnings else ""
    return Recommendation(
        method,
        f"{DESCRIPTIONS[method].title} closes the gap to {left * 100:.1f} points and opens {opened or 'no'} other"
        f"{'' if opened == 1 else 's'} for certain{warned}; "
        f"its accuracy stays within {MOST_LOST * 100:.0f} points. A person decides.",
    )


def target_gap(result: Result, scope: Scope) -> Gap | None:
    """The gap that the mitigation is about."""
    return result.gap(scope.attribute, TARGETS[scope.constraint])
