"""SHAP values of a trained pipeline, summarised into an Explanation."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from millrace.contracts.errors import StageFailed
from millrace.contracts.stages import TaskType
from millrace.explain.attribution import Attribution, attribute
from millrace.explain.cases import Outcome, case, choose_cases
from millrace.explain.dependence import dependence
from millrace.explain.importance import importance
from millrace.explain.parts import take_apart
from millrace.explain.permutation import BACKGROUND_ROWS, permutation_rows, permute
from millrace.explain.result import Additivity, Case, ClassImportance, Explanation, Sample
from millrace.explain.values import cell_text, power_above, rounded
from millrace.explain.work import tree_rows

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, Any]

MAX_ROWS = 10_000
DEPENDENCE_FEATURES = 6
TOLERANCE = 1e-4
"""Of the largest output, at least 1; XGBoost adds up in single precision."""


def explain(
    predictor: Any,
    frame: "pd.DataFrame",
    *,
    target: str,
    task_type: TaskType,
    features: Sequence[str],
    seed: int,
    positive: str | None = None,
    holdout: Sequence[int] | None = None,
    metrics: dict[str, dict[str, float]] | None = None,
    max_rows: int = MAX_ROWS,
) -> Explanation:
    """SHAP values of the predictor on a seeded sample of the frame's rows.

    `predictor` takes raw rows and has `predict` (and `predict_proba` for a classification). `holdout` holds the
    positions of rows that training never saw: local cases are chosen among them. `metrics` are those recorded with
    the model.

    Raises:
        StageFailed: base value and SHAP values do not add up to the model's output, or there is nothing to explain.
    """
    import numpy as np

    names = list(features)
    if not names or frame.empty:
        raise StageFailed("there is no row or no feature to explain", field="dataset", remedy="train the model again")
    parts = take_apart(predictor, names)
    limit = permutation_rows(len(names)) if parts is None else tree_rows(parts.estimator)
    sample = _sample(len(frame), max_rows if limit is None else min(limit, max_rows), seed)
    rows = frame.iloc[sample].reset_index(drop=True)

    found = None
    if parts is not None:
        matrix = np.asarray(parts.preprocess.transform(rows), dtype="float64")
        found = attribute(parts, matrix)
        if found is not None:
            values = _by_feature(found.values, parts.origin, len(names))
    if found is None:
        sample = _sample(len(frame), min(permutation_rows(len(names)), max_rows), seed)
        rows = frame.iloc[sample].reset_index(drop=True)
        background = frame.iloc[_sample(len(frame), BACKGROUND_ROWS, seed + 1)]
        found = permute(predictor, rows, background, names, seed=seed)
        values = found.values
    additivity = _additivity(found, values)

    outcome, classes = _outcome(predictor, rows, target, task_type)
    shown = _explained(classes, positive, outcome)
    values, base, output = _oriented(found, values, shown, len(classes))
    explained = values[:, :, 0] if values.shape[2] == 1 else values[:, :, shown]
    predictions = outcome.predicted if outcome.probabilities is None else outcome.probabilities[:, shown]

    effects = importance(rows, names, values, explained)
    place = {name: column for column, name in enumerate(names)}
    return Explanation(
        target=target,
        task_type=task_type,
        classes=tuple(classes),
        explained_class=classes[shown] if classes else None,
        algorithm=_algorithm(predictor, parts),
        method=found.method,
        output_space=found.space,
        base_value=rounded(base[0 if len(base) == 1 else shown]),
        mean_prediction=rounded(predictions.mean()),
        sample=Sample(
            table_rows=len(frame),
            explained_rows=len(rows),
            background=found.background,
            background_rows=found.background_rows,
            seed=seed,
            cases_from="rows that training never saw" if _unseen(sample, holdout).size else "all explained rows",
        ),
        additivity=additivity,
        features=effects,
        dependence=tuple(
            dependence(rows[effect.name], effect.kind, explained[:, place[effect.name]], predictions)
            for effect in effects[:DEPENDENCE_FEATURES]
            if effect.importance > 0
        ),
        cases=_cases(rows, names, values, base, output, outcome, classes, shown, sample, holdout),
        class_importance=tuple(
            ClassImportance(
                label=label,
                importance={
                    name: rounded(np.abs(values[:, column, number]).mean()) for column, name in enumerate(names)
                },
            )
            for number, label in enumerate(classes)
            if len(classes) > 2
        ),
        metrics={
            split: {name: rounded(value) for name, value in figures.items()}
            for split, figures in (metrics or {}).items()
        },
        versions=_versions(predictor if parts is None else parts.estimator),
    )


def _sample(rows: int, limit: int, seed: int) -> "Array":
    import numpy as np

    if rows <= limit:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, size=limit, replace=False))


def _by_feature(values: "Array", origin: "Array", features: int) -> "Array":
    import numpy as np

    summed = np.zeros((values.shape[0], features, values.shape[2]))
    for column, feature in enumerate(origin):
        summed[:, feature, :] += values[:, column, :]
    return summed


def _additivity(found: Attribution, values: "Array") -> Additivity:
    import numpy as np

    residual = float(np.abs(values.sum(axis=1) + found.base - found.output).max())
    tolerance = TOLERANCE * max(1.0, float(np.abs(found.output).max()))
    if not residual <= tolerance:
        raise StageFailed(
            f"the SHAP values of a row miss the model's output by {residual:.3g}; {tolerance:.3g} is allowed",
            field="model",
            remedy="train the model again, with another estimator family if this stays",
        )
    return Additivity(residual=power_above(residual), tolerance=rounded(tolerance), rows=len(values))


def _outcome(predictor: Any, rows: "pd.DataFrame", target: str, task_type: TaskType) -> tuple[Outcome, list[str]]:
    import numpy as np
    import pandas as pd

    if task_type == "regression":
        actual = pd.to_numeric(rows[target], errors="coerce") if target in rows else pd.Series(np.nan, rows.index)
        numbers = actual.to_numpy(dtype="float64", na_value=np.nan)
        return Outcome(np.asarray(predictor.predict(rows), dtype="float64"), None, numbers), []
    probabilities = np.asarray(predictor.predict_proba(rows))
    classes = [_label(label) for label in predictor.classes_]
    known = {label: number for number, label in enumerate(classes)}
    truth = [known.get(_label(value), -1) for value in rows[target]] if target in rows else [-1] * len(rows)
    return Outcome(probabilities.argmax(axis=1), probabilities, np.array(truth)), classes


def _label(value: Any) -> str:
    # a whole number is one label whether the column has gaps (and is floating) or not
    return str(int(value)) if isinstance(value, float) and value.is_integer() else cell_text(value)


def _explained(classes: list[str], positive: str | None, outcome: Outcome) -> int:
    import numpy as np

    if not classes:
        return 0
    if positive is not None and positive in classes:
        return classes.index(positive)
    if len(classes) == 2:
        return 1
    return int(np.bincount(outcome.predicted, minlength=len(classes)).argmax())


def _oriented(found: Attribution, values: "Array", shown: int, classes: int) -> tuple["Array", "Array", "Array"]:
    """Values, base and output with one output for a binary task, that of the explained class."""
    if classes != 2:
        return values, found.base, found.output
    if values.shape[2] == 2:
        return values[:, :, [shown]], found.base[[shown]], found.output[:, [shown]]
    sign = 1.0 if shown == 1 else -1.0
    return sign * values, sign * found.base, sign * found.output


def _unseen(sample: "Array", holdout: Sequence[int] | None) -> "Array":
    import numpy as np

    return np.flatnonzero(np.isin(sample, np.asarray(holdout if holdout is not None else [], dtype=np.int64)))


def _cases(
    rows: "pd.DataFrame",
    names: list[str],
    values: "Array",
    base: "Array",
    output: "Array",
    outcome: Outcome,
    classes: list[str],
    shown: int,
    sample: "Array",
    holdout: Sequence[int] | None,
) -> tuple[Case, ...]:
    import numpy as np

    unseen = _unseen(sample, holdout)
    candidates = unseen if unseen.size else np.arange(len(sample))
    made = []
    for kind, row in choose_cases(outcome, candidates):
        number = shown if len(classes) <= 2 else int(outcome.predicted[row])
        column = 0 if values.shape[2] == 1 else number
        if outcome.probabilities is None:
            actual = None if np.isnan(outcome.actual[row]) else cell_text(float(outcome.actual[row]))
            predicted, probability = cell_text(float(outcome.predicted[row])), None
        else:
            actual = classes[outcome.actual[row]] if outcome.actual[row] >= 0 else None
            predicted, probability = classes[int(outcome.predicted[row])], float(outcome.probabilities[row, number])
        made.append(
            case(
                kind,
                row,
                rows=rows,
                features=names,
                effects=values[row, :, column],
                base=float(base[column]),
                output=float(output[row, column]),
                position=int(sample[row]),
                predicted=predicted,
                actual=actual,
                probability=probability,
                explained_class=classes[number] if classes else None,
            )
        )
    return tuple(made)


def _algorithm(predictor: Any, parts: Any) -> str:
    return type(predictor if parts is None else parts.estimator).__name__


def _versions(estimator: Any) -> dict[str, str]:
    import sys
    from importlib.metadata import version

    module = type(estimator).__module__.partition(".")[0]
    # a distribution may be called otherwise than its module (xgboost-cpu, scikit-learn)
    name = {"sklearn": "scikit-learn"}.get(module, module)
    own = str(getattr(sys.modules.get(module), "__version__", "unknown"))
    return {name: own} | {other: version(other) for other in ("numpy", "scikit-learn", "shap")}
