"""Sentences whose figures say where the document has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from millrace.bias.wording import TITLES, interval_text, metric_title, value_text
from millrace.pages import filters

if TYPE_CHECKING:
    from millrace.bias.figures import AttributeReport, Disparity, GroupValue, Subgroup
    from millrace.bias.report import Subject


@dataclass(frozen=True)
class Word:
    """A piece of a sentence; `at` holds the JSON pointers of the figures in it."""

    text: str
    at: str = ""


@dataclass(frozen=True)
class Extremes:
    """The groups with the lowest and the highest value of a measure, by place."""

    measure: int
    lowest: int
    highest: int


def extremes(attribute: AttributeReport, measure: int = 0) -> Extremes | None:
    """The compared groups that differ most in one measure; None with fewer than two."""
    known = [
        (item.value, place)
        for place, item in enumerate(attribute.measures[measure].values)
        if item.compared and item.value is not None
    ]
    if len(known) < 2:
        return None
    return Extremes(measure, min(known)[1], max(known)[1])


def told_rate(attribute: AttributeReport, deciding: int) -> int | None:
    """Place of the selection rate that plain words tell: of the deciding figure's outcome; None where there is none."""
    wanted = attribute.disparities[deciding].outcome
    rates = [place for place, item in enumerate(attribute.measures) if item.metric == "selection_rate"]
    return next((place for place in rates if attribute.measures[place].outcome == wanted), next(iter(rates), None))


def frequencies(attribute: AttributeReport, at: str, *, deciding: int, subject: Subject) -> tuple[Word, ...]:
    """The rate in natural frequencies: of every 100 of the lowest and of the highest group, how many."""
    rate = told_rate(attribute, deciding)
    ends = None if rate is None else extremes(attribute, rate)
    if ends is None:
        return ()
    measure = attribute.measures[ends.measure]
    what = "had the favourable outcome" if subject == "label" else "were selected"
    if measure.outcome is not None:
        what = f"{'had' if subject == 'label' else 'were predicted'} {filters.visible(measure.outcome, 40)}"
    name = filters.visible(attribute.attribute, 40)
    low, high = (filters.visible(measure.values[place].group, 40) for place in (ends.lowest, ends.highest))
    return (
        Word(f"Of every 100 with {name} {low}, "),
        _hundredths(measure.values[ends.lowest], f"{at}/measures/{ends.measure}/values/{ends.lowest}"),
        Word(f" {what}; with {name} {high}, "),
        _hundredths(measure.values[ends.highest], f"{at}/measures/{ends.measure}/values/{ends.highest}"),
        Word("."),
    )


def certainty(attribute: AttributeReport, at: str, *, deciding: int) -> tuple[Word, ...]:
    """How wide the gap in that rate may be, in people of 100; nothing where it decides, and is told as the reason."""
    rate = told_rate(attribute, deciding)
    outcome = None if rate is None else attribute.measures[rate].outcome
    for place, item in enumerate(attribute.disparities):
        if item.metric != "selection_rate_difference" or item.outcome != outcome:
            continue
        if item.low is None or item.high is None or place == deciding:
            return ()
        here = f"{at}/disparities/{place}"
        return (
            Word("The data allow a gap from "),
            Word(f"{item.low * 100:.0f}", f"{here}/low"),
            Word(" to "),
            Word(f"{item.high * 100:.0f}", f"{here}/high"),
            Word(" people in every 100."),
        )
    return ()


def sentence(attribute: AttributeReport, at: str, place: int) -> tuple[Word, ...]:
    """One disparity in a sentence: who is lowest, who is highest, how far apart, how sure."""
    item = attribute.disparities[place]
    of = f" of {filters.visible(item.outcome, 40)}" if item.outcome else ""
    here = f"{at}/disparities/{place}"
    if item.value is None or item.lowest is None or item.highest is None:
        return (Word(f"{metric_title(item.metric)}{of} cannot be compared. {item.reason}"),)
    distance = (
        Word(value_text(item.value, item.unit, distance=True), f"{here}/value"),
        Word(", interval "),
        Word(interval_text(item.low, item.high, item.unit, distance=True), f"{here}/low {here}/high"),
        Word("."),
    )
    index = measure_of(attribute, item)
    if index is None:
        return (Word(f"{metric_title(item.metric)}{of} is "), *distance)
    measure = attribute.measures[index]
    kind = "Ratio" if item.unit == "ratio" else "Difference"
    words = [Word(f"{TITLES[measure.metric]}{of} is lowest for ")]
    for group, after in ((item.lowest, " and highest for "), (item.highest, f". {kind}: ")):
        row = next(number for number, entry in enumerate(measure.values) if entry.group == group)
        value = value_text(measure.values[row].value, measure.unit)
        words += [
            Word(f"{filters.visible(group, 40)} ("),
            Word(value, f"{at}/measures/{index}/values/{row}/value"),
            Word(f"){after}"),
        ]
    return (*words, *distance)


def worst_subgroup(one: Subgroup, at: str, metric: str) -> tuple[Word, ...]:
    """The worst subgroup of a search in natural frequencies."""
    who = " and ".join(
        f"{filters.visible(column, 40)} {filters.visible(group, 40)}" for column, group in one.conditions
    )
    what = "were selected or favoured" if metric == "selection_rate" else "were predicted correctly"
    return (
        Word(f"Those who fare worst are {who}: of every 100, "),
        Word(f"{one.value * 100:.0f}", f"{at}/value"),
        Word(f" {what}; of everyone else, "),
        Word(f"{one.elsewhere * 100:.0f}", f"{at}/elsewhere"),
        Word(". They are "),
        Word(filters.whole(one.rows), f"{at}/rows"),
        Word(" rows."),
    )


def _hundredths(item: GroupValue, at: str) -> Word:
    return Word(f"{(item.value or 0) * 100:.0f}", f"{at}/value")


def measure_of(attribute: AttributeReport, item: Disparity) -> int | None:
    """Place of the measure that a distance is one in; None for equalized odds, which is one in two."""
    return next(
        (
            place
            for place, entry in enumerate(attribute.measures)
            if entry.outcome == item.outcome and item.metric.startswith(entry.metric + "_")
        ),
        None,
    )
