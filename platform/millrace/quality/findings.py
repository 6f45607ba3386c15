"""What a check found, in words: which columns, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from millrace.contracts.stages import TaskType
from millrace.quality.checks import CHECKS, CheckName
from millrace.quality.report import Outcome

_BLOCKING = {spec.name: spec.blocking for spec in CHECKS}
_SHOWN = 8
"""Column names in a message; the details hold all."""


def outcome(name: CheckName, *, passed: bool, message: str, **details: object) -> Outcome:
    """The outcome of a check of the vocabulary."""
    return Outcome(name, passed, _BLOCKING[name], message, details)


def has_rows(rows: int, *, passed: bool) -> Outcome:
    """Whether there is anything to work on."""
    message = f"The table has {rows:,} rows." if passed else "The table has no rows. Upload a file with data in it."
    return outcome("has_rows", passed=passed, message=message, rows=rows)


def target_present(target: str, near: Sequence[str], *, passed: bool) -> Outcome:
    """Whether the target is a column."""
    message = f"Target {_quoted(target)} is in the table."
    if not passed:
        message = f"Target {_quoted(target)} is not in the table. Answer with one of its columns: {listed(near)}."
    return outcome("target_present", passed=passed, message=message, target=target, near=list(near))


def target_has_values(target: str, *, there: bool, passed: bool) -> Outcome:
    """Whether the target is filled in."""
    message = f"Target {_quoted(target)} is filled in."
    if not there:
        message = "Not checked, because the target is not in the table."
    elif not passed:
        message = f"Target {_quoted(target)} is missing in every row. Choose a target that is filled in."
    return outcome("target_has_values", passed=there and passed, message=message, target=target)


def target_varies(target: str, *, there: bool, passed: bool) -> Outcome:
    """Whether there is anything to tell apart."""
    message = f"Target {_quoted(target)} has at least two different values."
    if not there:
        message = "Not checked, because the target is not in the table."
    elif not passed:
        message = f"Target {_quoted(target)} has fewer than two different values. Choose a target that varies."
    return outcome("target_varies", passed=there and passed, message=message, target=target)


def duplicate_rows(repeated: int, rows: int) -> Outcome:
    """How many rows repeat another one."""
    message = "No row repeats another."
    if repeated:
        message = (
            f"{repeated:,} of {rows:,} rows repeat an earlier row in every column. If they are the same case recorded "
            "twice, remove them: a copy in both training and test rows flatters the model."
        )
    return outcome("duplicate_rows", passed=repeated == 0, message=message, rows=repeated)


def constant_columns(columns: Sequence[str]) -> Outcome:
    """Columns that cannot tell rows apart."""
    message = "Every column varies."
    if columns:
        message = f"Never varying: {listed(columns)}. Such a column cannot help a model: remove it, or fill it in."
    return outcome("constant_columns", passed=not columns, message=message, columns=list(columns))


def id_like_columns(columns: Sequence[str]) -> Outcome:
    """Columns that name rows rather than describe them."""
    message = "No column looks like an identifier."
    if columns:
        message = (
            f"Different in nearly every row, like an identifier or free text: {listed(columns)}. Remove identifiers: "
            "a model can only learn them by heart."
        )
    return outcome("id_like_columns", passed=not columns, message=message, columns=list(columns))


def suspected_leakage(columns: dict[str, float], *, line: float, task_type: TaskType) -> Outcome:
    """Columns that give the target away; the number is the ROC AUC or the rank correlation of the column alone."""
    strength = "ROC AUC" if task_type == "classification" else "rank correlation"
    message = f"No single column predicts the target with a {strength} above {line:g}."
    if columns:
        message = (
            f"Predicting the target almost perfectly alone ({strength} above {line:g}): {listed(columns)}. Remove what "
            "is known only after the outcome: the model would fail in use."
        )
    return outcome("suspected_leakage", passed=not columns, message=message, columns=columns, line=line)


def missing_values(columns: dict[str, float], *, line: float, target: str, target_rows: int) -> Outcome:
    """Columns with many gaps, and rows without a target."""
    parts = []
    if columns:
        shown = [f"{name} ({share:.0%})" for name, share in columns.items()]
        named = listed(shown, quote=False)
        parts.append(f"Missing in more than {line:.0%} of the rows: {named}. Fill these columns or leave them out.")
    if target_rows:
        parts.append(f"Target {_quoted(target)} is missing in {target_rows:,} rows; training leaves these rows out.")
    message = " ".join(parts) or f"No column is missing in more than {line:.0%} of the rows."
    return outcome(
        "missing_values",
        passed=not parts,
        message=message,
        columns=columns,
        line=line,
        target_rows=target_rows,
    )


def listed(names: Iterable[str], *, quote: bool = True) -> str:
    """The first names in one phrase, and how many more there are."""
    every = [_quoted(name) if quote else _short(name) for name in names]
    more = len(every) - _SHOWN
    return ", ".join(every[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _quoted(name: str) -> str:
    return f"“{_short(name)}”"


def _short(name: str) -> str:
    return name if len(name) <= 60 else name[:59] + "…"
