"""The checks on one table: expectations generated from its profile and the task, results mapped to the vocabulary."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from millrace.contracts.stages import TaskType
from millrace.quality import findings
from millrace.quality.checks import CheckName
from millrace.quality.expectations import Wanted, validate
from millrace.quality.leakage import LINES, find_leaks
from millrace.quality.report import QualityReport
from millrace.quality.suspects import MISSING_LINE, UNIQUE_LINE, Suspects, find_suspects

if TYPE_CHECKING:
    import pandas as pd

    from millrace.warehouse.profile import Profile

EVIDENCE_LIMIT = 25
"""Expectations validated for one check; further suspects are taken from the profile alone."""


def assess(frame: pd.DataFrame, *, target: str, task_type: TaskType, profile: Profile) -> QualityReport:
    """Every check of the vocabulary on the table, whose profile it must be.

    A check fails when an expectation generated for it fails. Duplicates come from the profile alone, leakage from a
    seeded sample of at most 50,000 rows.
    """
    suspects = find_suspects(profile, target)
    there = target in frame.columns
    results = validate(frame, _suite(target, suspects, there=there))
    failed = {(result["check"], result["arguments"].get("column")) for result in results if not result["success"]}
    broken = {check for check, _ in failed}
    usable = there and not broken & {"has_rows", "target_has_values", "target_varies"}
    leaks = find_leaks(frame, target=target, task_type=task_type) if usable else {}
    near = difflib.get_close_matches(target, map(str, frame.columns), n=3) or [str(name) for name in frame.columns[:5]]
    gaps = _confirmed("missing_values", suspects.missing, failed)
    outcomes = (
        findings.has_rows(len(frame), passed="has_rows" not in broken),
        findings.target_present(target, [] if there else near, passed="target_present" not in broken),
        findings.target_has_values(target, there=there, passed="target_has_values" not in broken),
        findings.target_varies(target, there=there, passed="target_varies" not in broken),
        findings.duplicate_rows(profile.duplicate_rows, len(frame)),
        findings.constant_columns(_confirmed("constant_columns", suspects.constant, failed)),
        findings.id_like_columns(_confirmed("id_like_columns", suspects.identifiers, failed)),
        findings.suspected_leakage(leaks, line=LINES[task_type], task_type=task_type),
        findings.missing_values(
            {name: round(suspects.missing[name], 6) for name in gaps},
            line=MISSING_LINE,
            target=target,
            target_rows=suspects.target_missing if ("missing_values", target) in failed else 0,
        ),
    )
    return QualityReport(target, task_type, len(frame), len(frame.columns), outcomes, tuple(results))


def _suite(target: str, suspects: Suspects, *, there: bool) -> list[Wanted]:
    wanted = [
        Wanted("has_rows", "ExpectTableRowCountToBeBetween", {"min_value": 1}),
        Wanted("target_present", "ExpectColumnToExist", {"column": target}),
    ]
    if there:
        wanted += [
            Wanted("target_has_values", _UNIQUE_COUNT, {"column": target, "min_value": 1}),
            Wanted("target_varies", _UNIQUE_COUNT, {"column": target, "min_value": 2}),
        ]
        if suspects.target_missing:
            wanted.append(Wanted("missing_values", "ExpectColumnValuesToNotBeNull", {"column": target}))
    families: list[tuple[CheckName, str, dict[str, Any], Iterable[str]]] = [
        ("constant_columns", _UNIQUE_COUNT, {"min_value": 2}, suspects.constant),
        (
            "id_like_columns",
            "ExpectColumnProportionOfUniqueValuesToBeBetween",
            {"max_value": UNIQUE_LINE, "strict_max": True},
            suspects.identifiers,
        ),
        (
            "missing_values",
            "ExpectColumnProportionOfNonNullValuesToBeBetween",
            {"min_value": round(1 - MISSING_LINE, 6)},
            suspects.missing,
        ),
    ]
    for check, expectation, limits, columns in families:
        wanted += [Wanted(check, expectation, {"column": name, **limits}) for name in list(columns)[:EVIDENCE_LIMIT]]
    return wanted


_UNIQUE_COUNT = "ExpectColumnUniqueValueCountToBeBetween"


def _confirmed(check: CheckName, suspects: Iterable[str], failed: set[tuple[CheckName, str | None]]) -> list[str]:
    names = list(suspects)
    return [name for place, name in enumerate(names) if place >= EVIDENCE_LIMIT or (check, name) in failed]
