"""What every report of the platform has beside its figures: proxies and demographic shift, bounded."""

import numpy as np
import pandas as pd
import pytest

from millrace.bias.label import measure_label_bias
from millrace.bias.predictions import measure_model_bias
from millrace.bias.proxies.figures import ProxyReport
from millrace.bias.proxies_and_shift import NO_PROXIES, NO_SHIFT, add_proxies_and_shift, bounded_rows
from millrace.bias.report import BiasReport
from millrace.bias.shift import ShiftReport, shift_groups
from millrace.contracts.task import Answers
from millrace.examples.loans import POSITIVE, TARGET, generate_loans

ANSWERS = Answers(target=TARGET, task_type="classification", positive=POSITIVE, sensitive=("sex",))
FRAME = generate_loans(400)


def _label(frame: pd.DataFrame = FRAME, **change: object) -> BiasReport:
    answers = ANSWERS.model_copy(update=change)
    return add_proxies_and_shift(measure_label_bias(frame, answers=answers, seed=0), frame, answers=answers)


def _part(report: BiasReport, name: str) -> ProxyReport | ShiftReport:
    (found,) = [part for part in report.parts if part.name == name]
    assert isinstance(found, ProxyReport | ShiftReport)
    return found


def test_a_report_has_both_and_says_how_many_rows_were_looked_at() -> None:
    report = _label()
    assert [part.name for part in report.parts] == ["proxies", "shift"]
    proxies = _part(report, "proxies")
    assert isinstance(proxies, ProxyReport)
    assert (proxies.rows, proxies.rows_in_all) == (400, 400)
    assert proxies.attributes[0].removal is not None


def test_predictions_belong_to_the_rows_by_position_also_where_a_target_is_missing() -> None:
    frame = FRAME.sample(frac=1, random_state=3)
    frame.loc[frame.index[:50], TARGET] = None
    said = pd.Series(np.where(np.arange(400) % 3 > 0, POSITIVE, "no"), index=frame.index)
    report = measure_model_bias(frame[TARGET], said, frame, answers=ANSWERS, seed=0)
    found = _part(add_proxies_and_shift(report, frame, answers=ANSWERS, predictions=said), "shift")
    there = frame[TARGET].notna()
    assert found == shift_groups(
        frame.loc[there, ["sex"]],
        favourable=(frame[TARGET][there] == POSITIVE).to_numpy(),
        predicted=(said[there] == POSITIVE).to_numpy(),
        policy=report.policy,
    )


@pytest.mark.parametrize(
    ("frame", "change", "parts", "note"),
    [
        (FRAME, {"target": "debt", "task_type": "regression", "positive": None}, ["proxies"], NO_SHIFT),
        (FRAME[["sex", TARGET]], {}, ["shift"], NO_PROXIES),
    ],
    ids=["numbers", "no other column"],
)
def test_what_cannot_be_told_says_why(
    frame: pd.DataFrame, change: dict[str, object], parts: list[str], note: str
) -> None:
    report = _label(frame, **change)
    assert [part.name for part in report.parts] == parts
    assert note in report.notes


def test_without_a_sensitive_column_nothing_is_added() -> None:
    report = _label(sensitive=())
    assert report.parts == ()
    assert not {NO_PROXIES, NO_SHIFT} & {*report.notes}


def test_wide_tables_and_many_attributes_are_searched_in_fewer_rows() -> None:
    assert bounded_rows(columns=15, attributes=3) == 2_000
    assert bounded_rows(columns=60, attributes=3) == 1_000
    assert bounded_rows(columns=2_000, attributes=9) == 500


def test_a_large_table_is_sampled_and_the_report_says_so() -> None:
    frame = generate_loans(2_100)
    found = _part(_label(frame), "proxies")
    assert isinstance(found, ProxyReport)
    assert (found.rows, found.rows_in_all) == (2_000, 2_100)
