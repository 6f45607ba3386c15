"""The chart of one metric by group."""

from millrace.bias.figures import Disparity, GroupValue, Measure
from millrace.bias.wording import MEANINGS, TITLES
from millrace.contracts.stages import Verdict
from millrace.pages import Chart, Line, Mark
from millrace.pages.charts import Tone

_TONES: dict[Verdict, Tone] = {"fail": "fail", "inconclusive": "unsure", "pass": "accent", "not assessable": "accent"}


def group_chart(
    attribute: str,
    measure: Measure,
    disparities: list[Disparity],
    *,
    at: str,
    shown: tuple[GroupValue, ...] | None = None,
) -> Chart:
    """A dot with its interval per group; the lowest group is coloured by the verdict, uncompared ones are faint.

    Where a ratio is judged, a line marks the share of the highest group's value that the lowest must reach. `shown`
    are the groups that get a row; all when left out. `at` is the JSON pointer of the measure.
    """
    marks = measure.values if shown is None else shown
    judged = [item for item in disparities if item.verdict is not None]
    first = judged[0] if judged else None
    ratio = next((item for item in judged if item.unit == "ratio" and measure.unit == "share"), None)
    line = None if ratio is None else ratio.line
    values = {item.group: item.value for item in measure.values}
    lines: tuple[Line, ...] = ()
    if ratio is not None and line is not None and ratio.highest is not None:
        top = values[ratio.highest] or 0.0
        lines = (Line(top * line, f"{line:g} × the highest"),)
    highs = [item.high for item in marks if item.high is not None]
    share = measure.unit == "share" and measure.metric != "r2"
    of = f" of {measure.outcome}" if measure.outcome else ""
    return Chart(
        title=f"{TITLES[measure.metric]}{of} by {attribute}",
        description=f"{MEANINGS[measure.metric]}, with intervals; the table below has the same figures".capitalize(),
        marks=tuple(_mark(item, first, f"{at}/values/{measure.values.index(item)}") for item in marks),
        lines=lines,
        unit="percent" if measure.unit == "share" else "number",
        start=0.0 if share or measure.metric in {"mae", "rmse"} else None,
        stop=1.0 if share and max(highs, default=1.0) > 0.9 else None,
    )


def _mark(item: GroupValue, first: Disparity | None, at: str) -> Mark:
    tone: Tone = "accent" if item.compared else "faint"
    if first is not None and first.verdict is not None and item.group == first.lowest:
        tone = _TONES[first.verdict]
    count = f"{item.rows:,} rows" if item.count is None else f"{item.count:,} of {item.rows:,}"
    note = count if item.compared else f"{count}, not compared"
    counted = f"{at}/rows" if item.count is None else f"{at}/count {at}/rows"
    return Mark(item.group, item.value, item.low, item.high, tone, note, at, counted)
