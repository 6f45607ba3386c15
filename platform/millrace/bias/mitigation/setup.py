"""From an encoded table to a problem: groups, hold-out, and which column to treat."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from millrace.bias.mitigation.compare import Holdout
from millrace.bias.mitigation.names import METHODS, Constraint, Method
from millrace.bias.mitigation.problem import Problem, Rows, treated_groups
from millrace.bias.table import check_sensitive
from millrace.bias.values import find_value
from millrace.contracts.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

    from millrace.bias.policy import Policy
    from millrace.bias.report import BiasReport
    from millrace.contracts.encoded import EncodedRows
    from millrace.contracts.task import Answers

ALL = "all"
_WORST = ("fail", "inconclusive", "not assessable", "pass")


def hold_out(frame: pd.DataFrame, encoded: EncodedRows, *, answers: Answers, policy: Policy, seed: int) -> Holdout:
    """The rows that everything is judged on.

    Raises:
        BadInput: no favourable value is named, the target lacks it, or a sensitive column is not there.
    """
    sensitive = check_sensitive(frame, answers)
    if answers.positive is None:
        raise BadInput(
            "mitigation needs to know which value is favourable", field="positive", remedy="name the favourable value"
        )
    positive = encoded.classes[find_value(list(encoded.classes), answers.positive, field="positive")]
    return Holdout(
        label=encoded.test_label,
        classes=encoded.classes,
        positive=positive,
        columns=frame.iloc[encoded.test][list(sensitive)].reset_index(drop=True),
        answers=answers.model_copy(update={"positive": positive}),
        policy=policy,
        seed=seed,
    )


def set_up(
    frame: pd.DataFrame,
    encoded: EncodedRows,
    *,
    answers: Answers,
    attributes: tuple[str, ...],
    constraint: Constraint,
    policy: Policy,
    seed: int,
) -> Problem:
    """The problem of treating the groups by `attributes`, crossed where there are several.

    Raises:
        BadInput: an attribute is no sensitive column, or its groups are too small.
    """
    import numpy as np

    sensitive = check_sensitive(frame, answers)
    unknown = [name for name in attributes if name not in sensitive]
    if unknown or not attributes:
        near = " or ".join(repr(name[:80]) for name in sensitive)
        raise BadInput(
            f"{unknown[0][:80]!r} is none of the sensitive columns" if unknown else "no sensitive column is named",
            field="attribute",
            remedy=f"name {near}" if near else "name the sensitive columns of the data set first",
        )
    label = np.concatenate([encoded.train_label, encoded.test_label])
    learnt = np.arange(len(label)) < len(encoded.train)
    columns = frame.iloc[np.concatenate([encoded.train, encoded.test])][list(attributes)]
    group, names = treated_groups(columns, label, policy=policy, train=learnt)
    return Problem(
        train=Rows(encoded.train_matrix, encoded.train_label, group[learnt]),
        test=Rows(encoded.test_matrix, encoded.test_label, group[~learnt]),
        groups=names,
        sensitive_columns=tuple(column for name in attributes for column in encoded.columns.get(name, ())),
        make=encoded.make,
        constraint=constraint,
        seed=seed,
    )


def worst_attribute(report: BiasReport) -> str | None:
    """The sensitive column with the worst verdict; of several the one with the widest gap in selection rates."""

    def rank(place: int) -> tuple[int, float, int]:
        one = report.attributes[place]
        gap = next((item.value for item in one.disparities if item.metric == "selection_rate_difference"), None)
        return _WORST.index(one.verdict), -(gap or 0.0), place

    places = range(len(report.attributes))
    return report.attributes[min(places, key=rank)].attribute if places else None


def read_methods(text: str) -> tuple[Method, ...]:
    """The methods that a person named, separated by commas; `all` are all of them.

    Raises:
        BadInput: one is none.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == [ALL]:
        return METHODS
    wrong = [name for name in names if name not in METHODS]
    if wrong or not names:
        raise BadInput(
            f"there is no mitigation {wrong[0][:80]!r}" if wrong else "no mitigation was named",
            field="mitigate",
            remedy=f"name {', '.join(METHODS)}, several with commas between them, or {ALL}",
        )
    return tuple(method for method in METHODS if method in names)


def read_constraint(text: str) -> Constraint:
    """The aim that a person named.

    Raises:
        BadInput: it is none.
    """
    found = next((one for one in get_args(Constraint) if one == text), None)
    if found is None:
        raise BadInput(
            f"there is no aim {text[:80]!r}", field="aim", remedy=f"name {' or '.join(get_args(Constraint))}"
        )
    constraint: Constraint = found
    return constraint
