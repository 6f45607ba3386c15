"""Why a stage is held back, from what the reports say."""

from types import SimpleNamespace
from typing import Any

import pytest

from millrace.conductor.holding import reason_of
from millrace.contracts.task import PipelineSettings

USUAL = PipelineSettings()
STRICT = PipelineSettings(bias_policy="strict", bias_policy_holds=True)
VERDICTS = [
    {"attribute": "sex", "metric": "accuracy_difference", "verdict": "pass"},
    {"attribute": "age", "metric": "precision_difference", "verdict": "inconclusive"},
    {"attribute": "sex", "metric": "selection_rate_ratio", "verdict": "fail"},
]


def _report(**summary: Any) -> Any:
    return SimpleNamespace(report_id="br-1", summary=summary)


def test_a_report_that_holds_back_names_its_worst_verdicts_first():
    why = reason_of(_report(holds_back=True, verdicts=VERDICTS), STRICT)
    assert why == (
        "bias policy strict holds it back: sex selection rate ratio fail, age precision difference inconclusive"
    )


def test_many_verdicts_are_counted():
    many = [{"attribute": f"a{number}", "metric": "m", "verdict": "fail"} for number in range(9)]
    assert reason_of(_report(holds_back=True, verdicts=many), STRICT).endswith("a3 m fail and 5 more")


@pytest.mark.parametrize("settings", [USUAL, STRICT])
def test_a_report_that_passes_holds_nothing_back(settings: PipelineSettings):
    assert reason_of(_report(holds_back=False, verdicts=VERDICTS), settings) == ""


@pytest.mark.parametrize("report", [None, _report(), _report(verdicts=VERDICTS)])
def test_what_says_nothing_passes_no_policy_that_holds_back_and_every_other(report: Any):
    assert reason_of(report, STRICT)
    assert reason_of(report, USUAL) == ""


@pytest.mark.parametrize("verdicts", ["fail", [1, None], [{"verdict": "fail"}], []])
def test_an_odd_summary_of_an_outside_worker_still_holds_back(verdicts: Any):
    assert reason_of(_report(holds_back=True, verdicts=verdicts), STRICT)
    assert reason_of(_report(holds_back="no", verdicts=verdicts), USUAL)
