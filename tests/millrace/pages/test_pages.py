import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from millrace.pages import Chart, Line, Mark, environment, filters


def _draw(chart: Chart) -> str:
    return environment().from_string('{% from "charts.html" import chart %}{{ chart(drawn) }}').render(drawn=chart)


def test_text_is_escaped_whatever_the_template_is_called() -> None:
    shown = environment().from_string("{{ text }}").render(text="<b>&\"'")
    assert shown == "&lt;b&gt;&amp;&#34;&#39;"


def test_an_unknown_name_is_an_error_and_not_a_gap() -> None:
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        environment().from_string("{{ nothing }}").render()


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain é 汉", "plain é 汉"), ("a\nb\tc", "a\\nb\\tc"), ("\x00", "\\u0000"), ("\u202eevil", "\\u202eevil")],
)
def test_what_cannot_be_seen_is_made_visible(text: str, shown: str) -> None:
    assert filters.visible(text) == shown


@given(st.text(max_size=300), st.integers(5, 60))
def test_visible_text_is_short_and_on_one_line(text: str, limit: int) -> None:
    shown = filters.visible(text, limit)
    assert len(shown) <= limit
    assert not re.search(r"[\x00-\x1f\x7f\u2028\u2029\u202a-\u202e]", shown)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.12345, "0.123"),
        (-12.5, "-12.500"),
        (1234.5, "1,234"),
        (1e-9, "1e-09"),
        (None, "–"),
        (math.nan, "–"),
    ],
)
def test_numbers_are_written_for_people(value: float | None, shown: str) -> None:
    assert filters.number(value) == shown


def test_shares_are_percentages_and_their_differences_points() -> None:
    assert filters.percent(0.1234) == "12.3%"
    assert filters.points(0.1234) == "12.3 points"
    assert (filters.points(-0.0004), filters.percent(-0.0004)) == ("0.0 points", "0.0%")
    assert filters.percent(None) == "–"


@given(
    st.lists(
        st.one_of(st.none(), st.floats(-1e9, 1e9), st.floats(-1e-9, 1e-9)),
        max_size=6,
    ),
    st.sampled_from(["interval", "bar"]),
    st.sampled_from(["percent", "points", "number"]),
)
@example(values=[5e-324], kind="interval", unit="percent")
@example(values=[1e9, 1e9 - 1.2e-7], kind="interval", unit="number")
@example(values=[0.5, 0.5 + 2e-16], kind="interval", unit="percent")
def test_any_values_make_a_drawing_inside_its_frame(values: list[float | None], kind: str, unit: str) -> None:
    chart = Chart(
        "title", "words", tuple(Mark(str(place), value) for place, value in enumerate(values)), kind=kind, unit=unit
    )
    drawn = _draw(chart)
    positions = [float(found) for found in re.findall(r'\b(?:x|x1|x2|cx)="([^"]+)"', drawn)]
    assert all(0 <= position <= chart.width for position in positions)
    assert 2 <= len(chart.ticks) <= 14
    assert "nan" not in drawn


def test_a_chart_marks_its_line_its_intervals_and_its_gaps() -> None:
    marks = (Mark("a", 0.4, 0.3, 0.5), Mark("b", None))
    drawn = _draw(Chart("Rates", "words", marks, (Line(0.32, "four fifths"),)))
    assert drawn.count("<circle") == 1
    assert drawn.count('class="whisker"') == 1
    assert "four fifths" in drawn
    assert "30.0% to 50.0%" in drawn
    assert "–" in drawn


def test_positions_keep_the_order_of_the_values() -> None:
    chart = Chart("t", "d", (Mark("a", 1.0), Mark("b", 5.0), Mark("c", -2.0)), unit="number")
    assert chart.x(-2.0) < chart.x(1.0) < chart.x(5.0)
    assert chart.plot_left <= chart.x(-2.0)
    assert chart.x(5.0) <= chart.plot_right
