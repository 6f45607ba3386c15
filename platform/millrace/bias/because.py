"""Why a column has its verdict, for a reader who knows no statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from millrace.bias.narrative import Word, measure_of
from millrace.bias.wording import MEANINGS, TITLES, value_text
from millrace.pages import filters

if TYPE_CHECKING:
    from millrace.bias.figures import AttributeReport, Disparity
    from millrace.bias.verdicts import Better
    from millrace.contracts.stages import Verdict

_SIDES: dict[Better, dict[Verdict, str]] = {
    "higher": {
        "pass": "; all of that reaches it.",
        "fail": "; none of that reaches it.",
        "inconclusive": "; some of that reaches it and some does not, so these data do not settle it.",
    },
    "lower": {
        "pass": "; none of that is more.",
        "fail": "; all of that is more.",
        "inconclusive": "; some of that is more and some is not, so these data do not settle it.",
    },
}


def because(attribute: AttributeReport, at: str, *, deciding: int) -> tuple[Word, ...]:
    """The figure that decides, what the data allow, and the policy's line; the reason alone where nothing is judged."""
    item = attribute.disparities[deciding]
    if item.value is None or item.line is None or item.verdict is None or item.verdict == "not assessable":
        return (Word(item.reason),)
    here = f"{at}/disparities/{deciding}"
    asks = "asks for at least " if item.better == "higher" else "allows at most "
    return (
        *_subject(attribute, item, at),
        *_distance(attribute, item, here),
        Word(f". The policy {asks}"),
        Word(_short(item.line, item), f"{here}/line"),
        Word(_SIDES[item.better][item.verdict]),
    )


def _subject(attribute: AttributeReport, item: Disparity, at: str) -> tuple[Word, ...]:
    """What decides, where it is not the rate that was told before."""
    if item.metric.startswith("selection_rate_"):
        return ()
    index = measure_of(attribute, item)
    metric = item.metric.rpartition("_")[0].removesuffix("_standardised") if index is None else ""
    name = metric if index is None else attribute.measures[index].metric
    of = f" of {filters.visible(item.outcome, 40)}" if item.outcome else ""
    told = [Word(f"What decides is: {TITLES[name].lower()}{of} ({MEANINGS[name]}). ")]
    if index is None:
        return tuple(told)
    measure = attribute.measures[index]
    for group, before in ((item.lowest, "It is "), (item.highest, " and ")):
        row = next((number for number, entry in enumerate(measure.values) if entry.group == group), None)
        if row is not None:
            value = value_text(measure.values[row].value, measure.unit)
            who = f"{filters.visible(attribute.attribute, 40)} {filters.visible(group, 40)}"
            told += [Word(before), Word(value, f"{at}/measures/{index}/values/{row}/value"), Word(f" for {who}")]
    return (*told, Word(". "))


def _distance(attribute: AttributeReport, item: Disparity, here: str) -> tuple[Word, ...]:
    value, low, high = (
        Word("–" if number is None else _short(number, item), f"{here}/{name}")
        for name, number in (("value", item.value), ("low", item.low), ("high", item.high))
    )
    if item.unit == "ratio" and item.metric == "selection_rate_ratio" and item.lowest != item.highest:
        name, lowest, highest = (filters.visible(text, 40) for text in (attribute.attribute, item.lowest, item.highest))
        before, after = f"With {name} {lowest} that is ", f" times as often as with {name} {highest}"
    elif item.unit == "ratio":
        before, after = "The smaller figure is ", " times the larger"
    elif item.unit == "share":
        before, after = "The gap is ", " in every 100"
    else:
        before, after = "They are ", " standard deviations apart (one is how far people usually are from the average)"
    return (Word(before), value, Word(f"{after}; the data allow "), low, Word(" to "), high)


def _short(number: float, item: Disparity) -> str:
    return f"{number * 100:.0f}" if item.unit == "share" else f"{number:.2f}"
