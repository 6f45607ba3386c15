"""Why a column has its verdict, in plain words: the figure that decides, with its place in the document."""

import re

import numpy as np
import pandas as pd
import pytest

from millrace.bias.because import because
from millrace.bias.label import measure_label_bias
from millrace.bias.narrative import Word
from millrace.bias.page import render_bias_page
from millrace.bias.predictions import measure_model_bias
from millrace.bias.report import BiasReport
from millrace.bias.views import attribute_view
from millrace.contracts.task import Answers
from millrace.pages import PageFacts

FACTS = PageFacts("ada.loans", 1, "ab" * 32, "0", None)


def _label(rates: dict[str, float], rows: int = 1_000) -> BiasReport:
    """Groups of so many rows, of which these shares have the favourable value."""
    frame = pd.DataFrame(
        [(group, "yes" if row < rate * rows else "no") for group, rate in rates.items() for row in range(rows)],
        columns=["who", "got"],
    )
    answers = Answers(target="got", task_type="classification", positive="yes", sensitive=("who",))
    return measure_label_bias(frame, answers=answers, seed=0)


def _words(words: tuple[Word, ...]) -> str:
    return "".join(word.text for word in words)


@pytest.mark.parametrize(
    ("rates", "rows", "side"),
    [
        ({"a": 0.2, "b": 0.8}, 1_000, "asks for at least 0.80; none of that reaches it."),
        ({"a": 0.6, "b": 0.62}, 4_000, "asks for at least 0.80; all of that reaches it."),
        ({"a": 0.49, "b": 0.6}, 200, "some of that reaches it and some does not, so these data do not settle it."),
    ],
)
def test_each_verdict_says_on_which_side_of_the_line_the_data_are(
    rates: dict[str, float], rows: int, side: str
) -> None:
    view = attribute_view(_label(rates, rows), 0)
    ratio = rates["a"] / rates["b"]
    assert f"With who a that is {ratio:.2f} times as often as with who b" in _words(view.because)
    assert _words(view.because).endswith(side)


def test_every_figure_of_the_sentence_says_where_the_document_has_it() -> None:
    view = attribute_view(_label({"a": 0.2, "b": 0.8}), 0)
    figures = [word for word in view.because if re.search(r"\d", word.text)]
    assert [word.at.rpartition("/")[2] for word in figures] == ["value", "low", "high", "line"]


def test_what_is_told_is_of_the_outcome_that_decides() -> None:
    """Three classes: the groups differ in one of the rarer ones, and hardly in the most frequent one."""
    counts = {"a": {"red": 600, "green": 300, "blue": 100}, "b": {"red": 620, "green": 80, "blue": 300}}
    frame = pd.DataFrame(
        [(who, colour) for who, colours in counts.items() for colour, some in colours.items() for _ in range(some)],
        columns=["who", "colour"],
    )
    answers = Answers(target="colour", task_type="classification", sensitive=("who",))
    label = measure_label_bias(frame, answers=answers, seed=0)
    attribute = label.attributes[0]
    view = attribute_view(label, 0)
    deciding = attribute.disparities[view.deciding]
    assert attribute.measures[0].outcome == "red"
    assert deciding.outcome == "blue"
    assert _words(view.plain) == "Of every 100 with who a, 10 had blue; with who b, 30."
    assert [one.filled for one in view.people] == [10, 30]
    assert f"{deciding.value:.2f} times as often" in _words(view.because)
    said = measure_model_bias(frame.colour, frame.colour, frame, answers=answers, seed=0)
    assert _words(attribute_view(said, 0).plain) == "Of every 100 with who a, 10 were predicted blue; with who b, 30."


def test_another_figure_than_the_selection_rate_is_named_with_its_meaning_and_both_groups() -> None:
    """Everybody is selected alike; who deserves it is found less often in one group."""
    rows = 1_000
    truth = np.tile(np.where(np.arange(rows) < 500, "yes", "no"), 2)
    hits = np.where(np.arange(rows) < 400, "yes", np.where(np.arange(rows) < 900, "no", "yes"))
    misses = np.where(np.arange(rows) < 200, "yes", np.where(np.arange(rows) < 700, "no", "yes"))
    frame = pd.DataFrame({"who": np.repeat(["a", "b"], rows)})
    answers = Answers(target="got", task_type="classification", positive="yes", sensitive=("who",))
    report = measure_model_bias(truth, np.concatenate([hits, misses]), frame, answers=answers, seed=0)
    view = attribute_view(report, 0)
    assert report.attributes[0].disparities[view.deciding].metric == "true_positive_rate_difference"
    told = _words(view.because)
    assert told.startswith(
        "What decides is: true positive rate (share predicted to have the outcome among those who have it). "
        "It is 40.0% for who b and 80.0% for who a. The gap is 40 in every 100; the data allow "
    )
    assert told.endswith("The policy allows at most 10; all of that is more.")


def test_a_difference_of_means_is_told_without_statistics_to_know() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"who": np.repeat(["a", "b"], 500), "pay": rng.normal(size=1_000) + np.repeat([0, 1], 500)})
    answers = Answers(target="pay", task_type="regression", sensitive=("who",))
    told = _words(attribute_view(measure_label_bias(frame, answers=answers, seed=0), 0).because)
    assert "standard deviations apart (one is how far people usually are from the average)" in told
    assert "allows at most 0.20; all of that is more." in told


def test_where_nothing_is_judged_the_reason_stands_alone() -> None:
    report = _label({"a": 0.5})
    assert _words(because(report.attributes[0], "/attributes/0", deciding=0)) == (
        "Fewer than two groups have 30 rows or more to compare."
    )
    assert "Fewer than two groups" in render_bias_page(report, facts=FACTS)


def test_one_crossing_and_one_row_are_told_in_the_singular() -> None:
    frame = pd.DataFrame(
        [
            (one, two, "yes" if row < 100 * (0.9 if one == two else 0.1) else "no")
            for one in "ab"
            for two in "ab"
            for row in range(100)
        ]
        + [("z", "a", "no")],
        columns=["one", "two", "got"],
    )
    answers = Answers(target="got", task_type="classification", positive="yes", sensitive=("one", "two"))
    page = render_bias_page(measure_label_bias(frame, answers=answers, seed=0), facts=FACTS)
    assert "The crossing one × two fails." in page
    assert ">1</span> row)" in page
    assert ">1</span> rows" not in page
