import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from millrace.contracts.canonical import sha256_json
from millrace.examples.loans import TARGET, generate_loans
from millrace.quality.checks import CHECKS
from millrace.quality.report import QualityReport
from millrace.quality.suite import assess
from millrace.warehouse.profile import Profile

ProfileOf = Callable[[pd.DataFrame], Profile]
BLOCKING = [spec.name for spec in CHECKS if spec.blocking]


def _check(
    frame: pd.DataFrame, profile_of: ProfileOf, *, target: str = TARGET, regression: bool = False
) -> QualityReport:
    task = "regression" if regression else "classification"
    return assess(frame, target=target, task_type=task, profile=profile_of(frame))


def _failed(report: QualityReport) -> set[str]:
    return {outcome.name for outcome in report.outcomes if not outcome.passed}


def test_a_clean_table_passes_every_check(profile_of: ProfileOf) -> None:
    report = _check(generate_loans(1000), profile_of)
    assert [outcome.name for outcome in report.outcomes] == [spec.name for spec in CHECKS]
    assert _failed(report) == set()
    assert not report.blocked
    assert not report.warnings


def test_a_missing_target_blocks_and_near_names_are_suggested(profile_of: ProfileOf) -> None:
    report = _check(generate_loans(100), profile_of, target="aproved")
    assert {outcome.name for outcome in report.blocked} == {"target_present", "target_has_values", "target_varies"}
    assert "approved" in report.blocked[0].message


def test_an_empty_target_blocks(profile_of: ProfileOf) -> None:
    frame = generate_loans(100).assign(approved=None)
    assert {"target_has_values", "target_varies"} <= {item.name for item in _check(frame, profile_of).blocked}


def test_a_target_of_one_class_blocks(profile_of: ProfileOf) -> None:
    frame = generate_loans(100).assign(approved="yes")
    assert [outcome.name for outcome in _check(frame, profile_of).blocked] == ["target_varies"]


def test_a_table_without_rows_blocks(profile_of: ProfileOf) -> None:
    assert "has_rows" in {outcome.name for outcome in _check(generate_loans(50).head(0), profile_of).blocked}


@pytest.mark.parametrize(
    ("check", "column", "value"),
    [
        ("constant_columns", "branch", lambda frame: "main"),
        ("constant_columns", "empty", lambda frame: None),
        ("id_like_columns", "row", lambda frame: np.arange(len(frame))),
        ("id_like_columns", "customerId", lambda frame: np.arange(len(frame)) * 9_973),
        ("id_like_columns", "reference", lambda frame: [f"ref-{i}" for i in range(len(frame))]),
        ("suspected_leakage", "decision_code", lambda frame: frame.approved.map({"yes": "A17", "no": "R02"})),
        ("suspected_leakage", "payout", lambda frame: (frame.approved == "yes") * 1000.0 + frame.age / 200),
        ("suspected_leakage", "reversed", lambda frame: (frame.approved == "no") * 5.0 + frame.age / 200),
        ("suspected_leakage", "paid_on", lambda frame: frame.application_date.where(frame.approved == "yes")),
        ("suspected_leakage", "stage", lambda frame: np.where(frame.approved == "yes", 2, frame.age % 2 * 2 + 1)),
        ("missing_values", "fax", lambda frame: np.where(frame.index % 5 < 3, np.nan, frame.age)),
    ],
)
def test_a_planted_fault_is_found_and_its_column_named(
    profile_of: ProfileOf, check: str, column: str, value: Callable[[pd.DataFrame], object]
) -> None:
    frame = generate_loans(1000)
    frame[column] = value(frame)
    report = _check(frame, profile_of)
    outcome = next(item for item in report.outcomes if item.name == check)
    assert not outcome.passed
    assert not outcome.blocking
    assert column in outcome.message
    assert not report.blocked


def test_repeated_rows_are_counted(profile_of: ProfileOf) -> None:
    frame = generate_loans(500)
    report = _check(pd.concat([frame, frame.head(7)], ignore_index=True), profile_of)
    assert _failed(report) == {"duplicate_rows"}
    assert report.warnings[0].details == {"rows": 7}


def test_rows_without_a_target_are_a_warning(profile_of: ProfileOf) -> None:
    frame = generate_loans(500)
    frame.loc[:9, TARGET] = None
    report = _check(frame, profile_of)
    assert _failed(report) == {"missing_values"}
    assert "10 rows" in report.warnings[0].message


def test_amounts_that_happen_to_be_unique_are_no_identifier(profile_of: ProfileOf) -> None:
    frame = generate_loans(300).assign(price=np.random.default_rng(1).permutation(10**6)[:300])
    assert _failed(_check(frame, profile_of)) == set()


def test_a_regression_target_given_away_by_its_multiple_is_leakage(profile_of: ProfileOf) -> None:
    frame = generate_loans(1000).assign(cents=lambda table: table.debt * 100)
    assert _failed(_check(frame, profile_of, target="debt", regression=True)) == {"suspected_leakage"}
    assert _failed(_check(frame.drop(columns="cents"), profile_of, target="debt", regression=True)) == set()


def test_a_class_of_three_given_away_is_leakage(profile_of: ProfileOf) -> None:
    frame = generate_loans(1000).assign(copy=lambda table: table.marital_status.fillna("none").str.upper())
    frame["marital_status"] = frame["marital_status"].fillna("none")
    assert _failed(_check(frame, profile_of, target="marital_status")) == {"suspected_leakage"}


def test_the_hash_is_the_same_twice_and_of_the_document(profile_of: ProfileOf) -> None:
    first, second = (_check(generate_loans(300), profile_of) for _ in range(2))
    assert first.report_hash == second.report_hash == sha256_json(first.to_document())
    assert first.report_hash != _check(generate_loans(301), profile_of).report_hash


def test_hostile_column_names_reach_great_expectations_unharmed(profile_of: ProfileOf) -> None:
    name = '<script>alert("1")</script>\n$PARAMETER'
    frame = generate_loans(300).assign(**{name: 1})
    report = _check(frame, profile_of)
    assert _failed(report) == {"constant_columns"}
    assert report.warnings[0].details["columns"] == [name]


def test_nothing_is_written_and_nothing_is_printed(
    profile_of: ProfileOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _check(generate_loans(200), profile_of)
    assert os.listdir(tmp_path) == []
    assert capfd.readouterr() == ("", "")
