"""The proxy search of a table: what the columns that are not sensitive tell about those that are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from millrace.bias.auc import delong
from millrace.bias.groups import Grouping, group_rows
from millrace.bias.intervals import quantile
from millrace.bias.numbers import numeric_target
from millrace.bias.outcomes import read_outcomes
from millrace.bias.policy import Policy, shipped_policy
from millrace.bias.proxies.chains import find_chains
from millrace.bias.proxies.columns import Column, coded, matrix_of, read_columns
from millrace.bias.proxies.figures import AttributeProxies, GroupAuc, Information, ProxyReport, Removal
from millrace.bias.proxies.forest import FOLDS, unseen_chances
from millrace.bias.proxies.information import describe, shared_information
from millrace.bias.proxies.removal import Demonstration, demonstrate, quality_of, removal_of
from millrace.bias.significance import holm
from millrace.bias.table import check_sensitive, require_column, seed_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from millrace.contracts.task import Answers

MOST_ROWS = 5_000
"""Rows looked at, drawn by the seed: an AUC is then known to about two hundredths."""
CODES = 10
FEWEST = 2 * FOLDS
"""Rows of a group that cross-validation needs."""


def find_proxies(
    frame: pd.DataFrame,
    *,
    answers: Answers,
    seed: int,
    policy: Policy | None = None,
    most_rows: int = MOST_ROWS,
) -> ProxyReport | None:
    """The proxies of every sensitive column; None when none is named or no other column can tell anything.

    Rows without a target are left out, rows without a value of an attribute are left out of that attribute. Of more
    than `most_rows` rows as many are drawn.

    Raises:
        BadInput: a column is not there, or the target cannot be read for the task.
    """
    policy = policy or shipped_policy()
    sensitive = check_sensitive(frame, answers)
    labelled = frame.loc[require_column(frame, answers.target, field="target").notna().to_numpy()]
    rows = _sample(labelled, seed, most_rows)
    columns, left_out = read_columns(rows, frozenset((answers.target, *sensitive)))
    if not sensitive or not columns or len(rows) < FEWEST:
        return None
    groupings = {name: group_rows(require_column(rows, name, field="sensitive"), policy=policy) for name in sensitive}
    matrix = matrix_of(columns)
    target, outcome = _target(rows, answers, policy)
    shown = None
    if target is not None:
        codes = matrix_of([Column(name, item.codes.astype(float), ordered=False) for name, item in groupings.items()])
        shown = demonstrate(matrix, codes, target, seed=seed_of(seed, "removal"))
    return ProxyReport(
        rows=len(rows),
        rows_in_all=len(labelled),
        folds=FOLDS,
        attributes=tuple(
            _attribute(name, grouping, columns, matrix, shown, policy, seed_of(seed, "proxies", name))
            for name, grouping in groupings.items()
        ),
        left_out=left_out,
        quality=None if shown is None else quality_of(shown, confidence=policy.confidence),
        outcome=outcome,
        seed=seed,
    )


def _sample(frame: pd.DataFrame, seed: int, most_rows: int) -> pd.DataFrame:
    import numpy as np

    if len(frame) <= most_rows:
        return frame
    drawn = np.random.default_rng(seed_of(seed, "sample")).choice(len(frame), most_rows, replace=False)
    return frame.iloc[np.sort(drawn)]


def _target(rows: pd.DataFrame, answers: Answers, policy: Policy) -> tuple[np.ndarray | None, str | None]:
    """What the demonstration predicts; None where it does not vary."""
    column: pd.Series[Any] = require_column(rows, answers.target, field="target")
    if answers.task_type == "regression":
        numbers = numeric_target(column, answers.target)
        return (numbers if numbers.std() > 0 else None), None
    read = read_outcomes(column, answers, policy, positive_may_lack=True)
    outcome = read.measured[0]
    hits: np.ndarray = read.codes == read.names.index(outcome)
    enough = FEWEST <= int(hits.sum()) <= len(hits) - FEWEST
    return (hits if enough else None), outcome


def _attribute(
    name: str,
    grouping: Grouping,
    columns: list[Column],
    matrix: np.ndarray,
    shown: Demonstration | None,
    policy: Policy,
    seed: int,
) -> AttributeProxies:
    import numpy as np

    known = np.array(grouping.comparable, dtype=bool) & (grouping.rows >= FEWEST)
    where = np.flatnonzero(known[grouping.codes])
    removal: Removal | None = None if shown is None else removal_of(shown, grouping, policy, seed=seed)
    if known.sum() < 2:
        empty = tuple(GroupAuc(group, int(rows), None, None, None) for group, rows in _counted(grouping))
        return AttributeProxies(name, empty, (), (), 0, removal)
    codes = np.unique(grouping.codes[where], return_inverse=True)[1]
    told = [describe(one.name, shared_information(coded(one, most=CODES)[where], codes), confidence=policy.confidence)
            for one in columns]  # fmt: skip
    features = sorted(_adjusted(told), key=lambda one: (-one.explained, -one.normalised, one.feature))
    order = {one.feature: place for place, one in enumerate(features)}
    there = [replace(one, numbers=one.numbers[where]) for one in sorted(columns, key=lambda one: order[one.name])]
    chains, searched = find_chains(there, codes)
    groups = _told(grouping, known, where, codes, matrix, policy, seed)
    return AttributeProxies(name, groups, tuple(features), chains, searched, removal)


def _counted(grouping: Grouping) -> list[tuple[str, int]]:
    return [(name, int(rows)) for name, rows in zip(grouping.names, grouping.rows.tolist(), strict=True)]


def _adjusted(told: list[Information]) -> list[Information]:
    steps = iter(holm([one.p for one in told if one.p is not None]))
    return [one if one.p is None else replace(one, p_holm=next(steps)) for one in told]


def _told(
    grouping: Grouping,
    known: np.ndarray,
    where: np.ndarray,
    codes: np.ndarray,
    matrix: np.ndarray,
    policy: Policy,
    seed: int,
) -> tuple[GroupAuc, ...]:
    import math

    count = int(known.sum())
    chances = unseen_chances(matrix[where], codes, classes=count, seed=seed)
    # two groups share one AUC: telling the one is telling the other
    z = quantile(policy.confidence, 1 if count == 2 else count)
    places = iter(range(count))
    found = []
    for (group, rows), there in zip(_counted(grouping), known.tolist(), strict=True):
        if not there:
            found.append(GroupAuc(group, rows, None, None, None))
            continue
        place = next(places)
        value, error = delong(chances[:, place], codes == place)
        half = z * error if math.isfinite(error) else None
        low, high = (None, None) if half is None else (max(0.0, value - half), min(1.0, value + half))
        found.append(GroupAuc(group, rows, value, low, high))
    return tuple(found)
