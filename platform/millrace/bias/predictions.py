"""Bias of a model's predictions on rows it was not trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millrace.bias.auc import delong
from millrace.bias.confusion import classified
from millrace.bias.crossings import cross_columns
from millrace.bias.errors_by_group import regressed
from millrace.bias.facet_tables import Company
from millrace.bias.figures import SubgroupSearch
from millrace.bias.flip_test import numeric_features, row_order
from millrace.bias.groups import group_rows
from millrace.bias.numbers import numeric_target
from millrace.bias.outcomes import Outcomes, read_outcomes
from millrace.bias.policy import Policy, shipped_policy
from millrace.bias.report import BiasReport
from millrace.bias.significance import adjusted
from millrace.bias.subgroups import find_worst, search_outcome
from millrace.bias.table import check_sensitive, check_weights, notes_on
from millrace.bias.weights import NOT_WEIGHTED, worth_of
from millrace.contracts.errors import BadInput
from millrace.pages.filters import counted, visible

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from millrace.contracts.task import Answers


NO_CHANCES = "Scores outside 0 to 1 are no chances: AUC is measured, calibration could not be checked."


def measure_model_bias(
    y_true: np.ndarray | pd.Series[Any],
    y_pred: np.ndarray | pd.Series[Any],
    groups: pd.DataFrame,
    *,
    answers: Answers,
    seed: int,
    policy: Policy | None = None,
    features: pd.DataFrame | None = None,
    strata: pd.Series[Any] | None = None,
    scores: np.ndarray | pd.Series[Any] | None = None,
    weights: np.ndarray | None = None,
) -> BiasReport:
    """Bias of predictions: rows of `y_true`, `y_pred` and `groups` (the sensitive columns) belong together by position.

    Classification: accuracy, true and false positive rate, precision and selection rate by group, their differences,
    the selection rate's ratio and equalized odds, and Clarify's metrics of each group. Regression: mean prediction,
    mean error, MAE, RMSE and R² by group. `features` are for Clarify's flip test, `strata` is the column within which
    its conditional disparities compare, `scores` (of the positive value) are for AUC and calibration by group; what
    they are needed for is reported as not checked, or left out, without them. `weights` of the rows (a
    classification's) make every share and rate a weighted one, and leave out what they cannot be used for.

    Raises:
        BadInput: the lengths differ, a sensitive column is not there, a prediction is missing, or a score is no number.
    """
    import numpy as np
    import pandas as pd

    if not len(y_true) == len(y_pred) == len(groups):
        raise BadInput(
            f"{len(y_true)} labels, {len(y_pred)} predictions and {len(groups)} rows of groups do not belong together",
            field="groups",
            remedy="give one prediction and one row of groups for each label",
        )
    policy = policy or shipped_policy()
    sensitive = check_sensitive(groups, answers)
    truth, predicted = pd.Series(np.asarray(y_true)), pd.Series(np.asarray(y_pred))
    present = truth.notna().to_numpy()
    missing = np.flatnonzero(present & predicted.isna().to_numpy())
    if len(missing):
        every = int(present.sum())
        raise BadInput(
            f"{len(missing):,} of {every:,} predictions missing; the first is that of row {missing[0] + 1:,}",
            field="predictions",
            remedy="predict every row that has a target",
        )
    kept = groups.loc[:, list(sensitive)].reset_index(drop=True)[present]
    check_weights(weights, answers)
    there = None if weights is None else weights[present]
    groupings = {name: group_rows(kept[name], policy=policy, weights=there) for name in sensitive}
    crossed, left_out = cross_columns(groupings, policy)
    searches: tuple[SubgroupSearch, ...] = ()
    notes = notes_on(groupings)
    outcomes: tuple[str, ...] = ()
    positive = None
    if answers.task_type == "regression":
        numbers = numeric_target(truth[present], answers.target)
        forecast = numeric_target(predicted[present], answers.target)
        measured = [
            regressed(name, item, truth=numbers, predicted=forecast, policy=policy, seed=seed)
            for name, item in (groupings | crossed).items()
        ]
    else:
        words = pd.concat([truth[present], predicted[present]], ignore_index=True)
        both = read_outcomes(words, answers, policy, positive_may_lack=True)
        rows = int(present.sum())
        actual, said = both.codes[:rows], both.codes[rows:]
        if weights is not None:
            features = scores = None
            notes = (*notes, NOT_WEIGHTED)
        columns = None if features is None else numeric_features(features.loc[present])
        ranks = None if scores is None else _numbers(np.asarray(scores)[present])
        favourable = None if both.positive is None else actual == both.names.index(both.positive)
        company = Company(
            strata=None if strata is None else group_rows(strata[present], policy=policy).codes,
            features=columns,
            order=None if columns is None else row_order(columns, said),
            scores=ranks,
            auc=None if ranks is None or favourable is None else delong(ranks, favourable)[0],
        )
        if company.scores is not None and not company.chances:
            notes = (*notes, NO_CHANCES)
        notes = (*notes, *_unknown(actual, said, both))
        measured = [
            classified(
                name,
                item,
                both,
                truth=actual,
                predicted=said,
                policy=policy,
                seed=seed,
                company=company if name in groupings else None,
            )
            for name, item in (groupings | crossed).items()
        ]
        if weights is None:
            searches = search_outcome(groupings, said, both, metric="selection_rate", policy=policy, seed=seed)
        if groupings and weights is None:
            searches += (find_worst(groupings, actual == said, metric="accuracy", policy=policy, seed=seed),)
        outcomes, positive, notes = both.measured, both.positive, (*notes, *both.notes)
    tested = adjusted(measured)
    return BiasReport(
        subject="model",
        task_type=answers.task_type,
        target=answers.target,
        positive=positive,
        outcomes=outcomes,
        rows=int(present.sum()),
        rows_without_target=int((~present).sum()),
        attributes=tested[: len(groupings)],
        notes=notes,
        policy=policy,
        seed=seed,
        crossings=tested[len(groupings) :],
        crossings_left_out=left_out,
        searches=searches,
        weights=None if there is None else worth_of(there),
    )


def _numbers(scores: np.ndarray) -> np.ndarray:
    import numpy as np
    import pandas as pd

    found: np.ndarray = pd.to_numeric(pd.Series(scores), errors="coerce").to_numpy(dtype=float)
    wrong = np.flatnonzero(~np.isfinite(found))
    if len(wrong):
        first = visible(scores[wrong[0]], 40)
        raise BadInput(
            f"{len(wrong):,} of {len(found):,} scores missing, infinite or no number; the first is {first}",
            field="score",
            remedy="give a number for every row that has a target",
        )
    return found


def _unknown(actual: np.ndarray, said: np.ndarray, outcomes: Outcomes) -> tuple[str, ...]:
    """A note that names predicted values which the target never has, with their rows."""
    import numpy as np

    rows = np.bincount(said, minlength=len(outcomes.names))
    rows[np.unique(actual)] = 0
    names = [f"{visible(outcomes.names[code], 40)} ({counted(rows[code], 'row')})" for code in np.flatnonzero(rows)]
    return (f"Predicted, but never the target's value in these rows: {', '.join(names[:5])}.",) if names else ()
