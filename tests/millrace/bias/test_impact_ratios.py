import csv
import io

import pandas as pd
import pytest

from millrace.bias.impact_ratios import HEADER, impact_ratio_page, impact_ratio_table
from millrace.bias.label import measure_label_bias
from millrace.bias.policy import shipped_policy
from millrace.contracts.task import Answers
from millrace.pages import PageFacts

ANSWERS = Answers(target="hired", task_type="classification", positive="yes", sensitive=("sex", "race"))


def _frame() -> pd.DataFrame:
    groups = [
        ("f", "=x", 400, 120),
        ("f", "y", 400, 200),
        ("m", "=x", 500, 200),
        ("m", "y", 600, 360),
        (None, "y", 60, 20),
    ]
    rows = [(sex, race, "yes" if row < hits else "no") for sex, race, size, hits in groups for row in range(size)]
    return pd.DataFrame([*rows, ("m", "z", "no"), ("m", "z", "yes")], columns=["sex", "race", "hired"])


def _table() -> list[dict[str, str]]:
    report = measure_label_bias(_frame(), answers=ANSWERS, seed=0, policy=shipped_policy("nyc-ll144"))
    text = impact_ratio_table(report)
    assert text is not None
    return list(csv.DictReader(io.StringIO(text)))


def test_rates_and_ratios_equal_plain_recomputation_by_column_and_crossing() -> None:
    frame, found = _frame(), {(row["category"], row["group"]): row for row in _table()}
    rates = frame.hired.eq("yes").groupby(frame.sex).mean()
    assert float(found["sex", "f"]["selection_rate"]) == pytest.approx(rates["f"], abs=1e-6)
    assert float(found["sex", "f"]["impact_ratio"]) == pytest.approx(rates["f"] / rates.max(), abs=1e-6)
    assert float(found["sex", "m"]["impact_ratio"]) == 1
    assert float(found["sex × race", "f × =x"]["impact_ratio"]) == pytest.approx(0.3 / 0.6, abs=1e-6)


def test_unknowns_and_groups_below_two_percent_are_counted_and_marked() -> None:
    frame, table = _frame(), _table()
    for category in ("sex", "race", "sex × race"):
        assert sum(int(row["rows"]) for row in table if row["category"] == category) == len(frame)
    found = {(row["category"], row["group"]): row for row in table}
    assert (found["sex", "(missing)"]["rows"], found["sex", "(missing)"]["impact_ratio"]) == ("60", "")
    assert "below 2%" in found["race", "z"]["remark"]
    assert found["race", "z"]["impact_ratio"] == ""


def test_a_group_below_two_percent_is_marked_also_where_the_policy_compares_it() -> None:
    frame = pd.concat([_frame(), pd.DataFrame([("m", "w", "yes")] * 35, columns=["sex", "race", "hired"])])
    text = impact_ratio_table(measure_label_bias(frame, answers=ANSWERS, seed=0))
    assert text is not None
    found = {(row["category"], row["group"]): row for row in csv.DictReader(io.StringIO(text))}
    assert float(found["race", "w"]["share"]) < 0.02
    assert found["race", "w"]["impact_ratio"]
    assert found["race", "w"]["remark"] == "below 2% of the rows; compared under this policy"
    assert found["race", "y"]["remark"] == ""


def test_a_group_that_reads_like_a_formula_is_no_formula() -> None:
    assert "'=x" in {row["group"] for row in _table()}
    assert tuple(_table()[0]) == HEADER


def test_without_a_favourable_value_there_is_no_table() -> None:
    answers = ANSWERS.model_copy(update={"positive": None})
    assert impact_ratio_table(measure_label_bias(_frame(), answers=answers, seed=0)) is None


def test_the_page_has_the_figures_of_the_table_and_runs_nothing() -> None:
    report = measure_label_bias(_frame(), answers=ANSWERS, seed=0, policy=shipped_policy("nyc-ll144"))
    page = impact_ratio_page(report, facts=PageFacts("people.csv", None, "ab" * 32, "0", None))
    assert "<script" not in page
    assert "60</span> people whose group is unknown" in page
    assert "below 2%" in page
    for row in _table():
        if row["impact_ratio"]:
            assert f"{float(row['impact_ratio']):.2f}</td>" in page
    assert page.count("<h2>") == 4


def test_numbers_have_scoring_rates_above_the_median_of_everyone() -> None:
    frame = _frame().assign(pay=range(len(_frame())))
    answers = Answers(target="pay", task_type="regression", sensitive=("sex",))
    report = measure_label_bias(frame, answers=answers, seed=0, policy=shipped_policy("nyc-ll144"))
    text = impact_ratio_table(report)
    assert text is not None
    found = {row["group"]: row for row in csv.DictReader(io.StringIO(text))}
    rates = (frame.pay > frame.pay.median()).groupby(frame.sex).mean()
    assert float(found["f"]["scoring_rate"]) == pytest.approx(rates["f"], abs=1e-6)
    assert float(found["f"]["impact_ratio"]) == pytest.approx(rates["f"] / rates["m"], abs=1e-6)
    assert found["(missing)"]["impact_ratio"] == ""
    (judged,) = [one for one in report.verdicts if one["metric"] == "scoring_rate_ratio"]
    assert judged["verdict"] == "fail"
    assert "Scoring rate" in impact_ratio_page(report, facts=PageFacts("p.csv", None, "ab" * 32, "0", None))
