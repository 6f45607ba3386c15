"""Checks answers against the profile of the data: what cannot work is refused before a stage runs."""

import difflib

from pydantic import BaseModel, ConfigDict

from millrace.conductor.proposals import Proposals, propose_for, sensitive_columns
from millrace.contracts.errors import BadInput
from millrace.contracts.events import ColumnName
from millrace.contracts.stages import TaskType
from millrace.contracts.task import Answers
from millrace.warehouse.profile import ColumnProfile, Profile

MAX_CLASSES = 1_000
"""A classification with more classes than that has too few rows for each."""
SHOWN = 10


class GivenAnswers(BaseModel):
    """Answers of a person who may leave some to the conductor's proposal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: ColumnName | None = None
    task_type: TaskType | None = None
    positive: str | None = None
    sensitive: tuple[ColumnName, ...] | None = None


def complete(given: GivenAnswers, *, profile: Profile, proposals: Proposals) -> Answers:
    """Answers with what was left out taken from the proposal.

    A field that was given as null stays empty; one that was not given is completed.

    Raises:
        BadInput: the target does not exist, or nothing can be proposed for it.
    """
    target = given.target or (proposals.answers.target if proposals.answers else None)
    if target is None:
        raise BadInput(
            "no column can be proposed as the target", field="target", remedy="name the column that is to be predicted"
        )
    column = _column(profile, target, field="target", what="target")
    following = propose_for(profile, target)
    task_type: TaskType = given.task_type or (
        "regression" if following.task_type[0].value == "regression" else "classification"
    )
    positive = given.positive
    if "positive" not in given.model_fields_set and task_type == "classification" and following.positive:
        positive = following.positive[0].value
    sensitive = given.sensitive
    if sensitive is None:
        sensitive = sensitive_columns(proposals, column.name)
    return Answers(target=target, task_type=task_type, positive=positive, sensitive=sensitive)


def checked_answers(answers: Answers, profile: Profile) -> Answers:
    """The answers, the positive value written as the data has it.

    Raises:
        BadInput: what cannot work on this data; names the field and the remedy.
    """
    column = _column(profile, answers.target, field="target", what="target")
    _check_values(column, profile.row_count)
    if answers.task_type == "classification":
        _check_classes(column, profile.row_count)
    else:
        _check_quantity(column)
    positive = _check_positive(column, answers)
    _check_sensitive(answers, profile)
    return answers.model_copy(update={"positive": positive})


def _column(profile: Profile, name: str, *, field: str, what: str) -> ColumnProfile:
    by_name = {one.name: one for one in profile.columns}
    if name in by_name:
        return by_name[name]
    near = near_names(name, list(by_name))
    hint = f"; did you mean {' or '.join(repr(one) for one in near)}?" if near else ""
    listed = ", ".join(list(by_name)[:SHOWN]) + (", …" if len(by_name) > SHOWN else "")
    raise BadInput(
        f"no column {name[:200]!r}{hint}",
        field=field,
        remedy=f"name {'a' if what == 'sensitive' else 'the ' + what} column of the data set: {listed}",
    )


def near_names(name: str, columns: list[str]) -> list[str]:
    """Up to three columns with a name like this one, the nearest first."""
    by_plain: dict[str, str] = {}
    for column in columns:
        by_plain.setdefault(column.casefold().strip(), column)
    near = difflib.get_close_matches(name.casefold().strip(), list(by_plain), n=3, cutoff=0.6)
    return [by_plain[plain] for plain in near]


def _check_values(column: ColumnProfile, rows: int) -> None:
    if rows == 0:
        raise BadInput("the data set has no rows", field="target", remedy="upload a file with rows")
    if column.null_count >= rows:
        raise BadInput(
            f"target {column.name!r} has no values: all {rows} are missing",
            field="target",
            remedy="choose a column that has values",
        )
    if column.type in ("date", "timestamp"):
        raise BadInput(
            f"target {column.name!r} is a {column.type}, which no task can predict",
            field="target",
            remedy="choose a column of numbers or classes",
        )
    if column.distinct_count < 2:
        raise BadInput(
            f"target {column.name!r} has one value only ({column.top[0].value!r})"
            if column.top
            else f"target {column.name!r} has one value only",
            field="target",
            remedy="choose a column that varies",
        )


def _check_classes(column: ColumnProfile, rows: int) -> None:
    classes = column.distinct_count
    if classes <= 20 or (classes <= MAX_CLASSES and classes <= rows // 2):
        return
    numeric = column.type in ("integer", "number")
    raise BadInput(
        f"target {column.name!r} would have {classes} classes in {rows} rows",
        field="task_type" if numeric else "target",
        remedy="use task type regression" if numeric else f"choose a target with at most {MAX_CLASSES} classes",
    )


def _check_quantity(column: ColumnProfile) -> None:
    if column.type in ("integer", "number"):
        return
    raise BadInput(
        f"regression needs numbers, but target {column.name!r} is {column.type}",
        field="task_type",
        remedy="use task type classification, or choose a numeric target",
    )


def _check_positive(column: ColumnProfile, answers: Answers) -> str | None:
    wanted = answers.positive
    if wanted is None:
        return None
    if answers.task_type == "regression":
        raise BadInput(
            "regression has no positive value", field="positive", remedy="leave the positive value out for regression"
        )
    values = [one.value for one in column.top]
    if wanted in values:
        return wanted
    same = [value for value in values if _plain(value) == _plain(wanted)]
    if len(same) == 1:
        return same[0]
    if column.distinct_count > len(values):
        # the profile lists the commonest values only: the bias stage sees the others
        return wanted
    raise BadInput(
        f"{wanted[:80]!r} is no value of target {column.name!r}",
        field="positive",
        remedy="choose one of " + ", ".join(repr(value) for value in values),
    )


def _plain(value: str) -> str:
    text = value.strip().casefold()
    return text.removesuffix(".0")


def _check_sensitive(answers: Answers, profile: Profile) -> None:
    seen = set()
    for name in answers.sensitive:
        _column(profile, name, field="sensitive", what="sensitive")
        if name == answers.target:
            raise BadInput(
                f"sensitive column {name!r} is the target itself",
                field="sensitive",
                remedy="leave the target out of the sensitive columns",
            )
        if name in seen:
            raise BadInput(
                f"sensitive column {name!r} is named twice", field="sensitive", remedy="name each column once"
            )
        seen.add(name)
