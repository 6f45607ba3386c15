"""What the steps did to groups of people, in sentences whose figures say where the document has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from millrace.bias.narrative import Word
from millrace.pages import filters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millrace.bias.accounting.counts import StepName
    from millrace.bias.accounting.figures import Accounting, GroupFlow

HEADING = "Who was lost on the way"
PLAIN_LIMIT = 6
"""Findings on the page in plain words; the others are counted there and stand in section 10."""

_WENT: dict[StepName, tuple[str, str]] = {
    "training": ("put ", " into training"),
    "validation": ("left ", " to train on"),
    "holdout": ("put ", " into the hold-out"),
}
"""Steps that choose rows: told by whom they took."""
_NONE_LEFT: dict[StepName, str] = {
    "training": "The model has never seen one.",
    "validation": "The model has never seen one.",
    "holdout": "How the model treats them was not tested.",
}


@dataclass(frozen=True)
class Told:
    """A finding: the step's title, and the sentence."""

    title: str
    words: tuple[Word, ...]


def tell(accounting: Accounting, at: str) -> tuple[Told, ...]:
    """Every finding, in the order of the steps."""
    return tuple(_findings(accounting, at))


def tell_plain(accounting: Accounting, at: str) -> tuple[Told, ...]:
    """The first findings and how many more there are, or that there is none."""
    found = tell(accounting, at)
    if not found:
        if not accounting.attributes:
            return ()
        return (Told("", (Word("No step on the way took noticeably more from one group than from everyone else."),)),)
    more = len(found) - PLAIN_LIMIT
    rest = (Told("", (Word(f"{more} more of the kind are told to analysts."),)),) if more > 0 else ()
    return (*found[:PLAIN_LIMIT], *rest)


def _findings(accounting: Accounting, at: str) -> Iterator[Told]:
    for place, step in enumerate(accounting.steps):
        here = f"{at}/steps/{place}"
        if step.rows_in and not step.rows_out:
            count = Word(filters.whole(step.rows_in), f"{here}/rows_in")
            yield Told(step.title, (Word("left none of the "), count, Word(" rows that came in.")))
        for column, attribute in enumerate(step.attributes):
            for row, group in enumerate(attribute.groups):
                if group.finding:
                    pointer = f"{here}/attributes/{column}/groups/{row}"
                    yield Told(step.title, _sentence(step.step, attribute.attribute, group, pointer))


def _sentence(step: StepName, attribute: str, group: GroupFlow, at: str) -> tuple[Word, ...]:
    if group.finding == "read as missing":
        return _misread(attribute, group, at)
    who = f"{filters.visible(attribute, 40)} {filters.visible(group.group, 40)}"
    if group.finding == "filled in":
        return _joined_by(attribute, who, group, at)
    if group.finding == "gone":
        return _gone(step, who, group, at)
    return (*_lost(step, who, group, at), *_share(group, at))


def _lost(step: StepName, who: str, group: GroupFlow, at: str) -> tuple[Word, ...]:
    if step in _WENT:
        before, after = _WENT[step]
        name, of = "kept_rate", (group.kept_rate, group.others_kept_rate)
    else:
        before, after = ("guessed values in " if step == "imputation" else "removed "), ""
        name, of = "changed_rate", (group.changed_rate, group.others_changed_rate)
    return (
        Word(before),
        Word(filters.percent(of[0]), f"{at}/{name}"),
        Word(f" of the rows of {who}{after} and "),
        Word(filters.percent(of[1]), f"{at}/others_{name}"),
        Word(" of everyone else's."),
    )


def _gone(step: StepName, who: str, group: GroupFlow, at: str) -> tuple[Word, ...]:
    count = Word(filters.whole(group.rows_in), f"{at}/rows_in")
    before, after = _WENT.get(step, ("left ", ""))
    rest = f" {_NONE_LEFT[step]}" if step in _NONE_LEFT else ""
    return Word(f"{before}none of the rows of {who}{after} ("), count, Word(f" in all).{rest}")


def _joined_by(attribute: str, who: str, group: GroupFlow, at: str) -> tuple[Word, ...]:
    moved = group.rows_out - group.rows_in
    return (
        Word("counts "),
        Word(filters.whole(moved), f"{at}/rows_in {at}/rows_out"),
        Word(f" {'row' if moved == 1 else 'rows'} without a value in {filters.visible(attribute, 40)} as {who}."),
        *_share(group, at),
    )


def _misread(attribute: str, group: GroupFlow, at: str) -> tuple[Word, ...]:
    text, where = filters.visible(group.group, 40), filters.visible(attribute, 40)
    if group.rows_in == 1:
        told = f" cell of {where} that says {text} for a missing value: this row is"
    else:
        told = f" cells of {where} that say {text} for missing values: these rows are"
    return (
        Word("took "),
        Word(filters.whole(group.rows_in), f"{at}/rows_in"),
        Word(f"{told} compared with nobody. If {text} is a group, write its name out in the file."),
    )


def _share(group: GroupFlow, at: str) -> tuple[Word, ...]:
    if group.share_in is None or group.share_out is None or group.rows_in == group.rows_out:
        return ()
    return (
        Word(" Their share went from "),
        Word(filters.percent(group.share_in), f"{at}/share_in"),
        Word(" to "),
        Word(filters.percent(group.share_out), f"{at}/share_out"),
        Word("."),
    )
