"""SHAP values of rows, by the fastest exact way that the estimator has."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from millrace.explain.result import Method, OutputSpace
from millrace.explain.work import is_forest

if TYPE_CHECKING:
    import numpy as np

    from millrace.explain.parts import Parts

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Attribution:
    """SHAP values and what they must add up to.

    `values` has shape (rows, columns, outputs). There is one output for regression and for the margin of a binary
    task (that of the second class), else one a class.
    """

    values: "Array"
    base: "Array"
    output: "Array"
    """The model's own output, computed apart from the SHAP values: (rows, outputs)."""
    method: Method
    space: OutputSpace
    background: str
    background_rows: int


def attribute(parts: "Parts", matrix: "Array") -> Attribution | None:
    """SHAP values of the encoded rows, a column each; None when the estimator is neither trees nor linear."""
    module = type(parts.estimator).__module__.partition(".")[0]
    if module == "lightgbm":
        return _lightgbm(parts.estimator, matrix)
    if module == "xgboost":
        return _xgboost(parts.estimator, matrix)
    if is_forest(parts.estimator):
        return _sklearn_forest(parts.estimator, matrix)
    if hasattr(parts.estimator, "coef_") and hasattr(parts.estimator, "intercept_"):
        return _linear(parts.estimator, matrix)
    return None


def _lightgbm(estimator: Any, matrix: "Array") -> Attribution:
    # the booster's own TreeSHAP, which shap.TreeExplainer calls too; several threads, and no import of shap
    import numpy as np

    rows, columns = matrix.shape
    raw = np.asarray(estimator.booster_.predict(matrix, pred_contrib=True))
    raw = raw.reshape(rows, -1, columns + 1).transpose(0, 2, 1)
    output = np.asarray(estimator.booster_.predict(matrix, raw_score=True)).reshape(rows, -1)
    return _tree(raw, output, _space(estimator))


def _xgboost(estimator: Any, matrix: "Array") -> Attribution:
    import numpy as np
    import xgboost

    booster = estimator.get_booster()
    data = xgboost.DMatrix(matrix)
    # early stopping keeps the best iteration only
    rounds = (0, estimator.best_iteration + 1) if estimator.get_params().get("early_stopping_rounds") else (0, 0)
    raw = np.asarray(booster.predict(data, pred_contribs=True, iteration_range=rounds), dtype="float64")
    raw = raw.transpose(0, 2, 1) if raw.ndim == 3 else raw[:, :, None]
    output = np.asarray(booster.predict(data, output_margin=True, iteration_range=rounds), dtype="float64")
    return _tree(raw, output.reshape(len(matrix), -1), _space(estimator))


def _tree(raw: "Array", output: "Array", space: OutputSpace) -> Attribution:
    return Attribution(
        values=raw[:, :-1, :],
        base=raw[0, -1, :],
        output=output,
        method="tree",
        space=space,
        background="training rows, by the counts in the trees' nodes (path-dependent TreeSHAP)",
        background_rows=0,
    )


def _sklearn_forest(estimator: Any, matrix: "Array") -> Attribution:
    import numpy as np

    shap = import_shap()
    explainer = shap.TreeExplainer(estimator)
    values = np.asarray(explainer.shap_values(matrix, check_additivity=False))
    values = values[:, :, None] if values.ndim == 2 else values
    classifier = hasattr(estimator, "predict_proba")
    output = estimator.predict_proba(matrix) if classifier else estimator.predict(matrix)[:, None]
    return Attribution(
        values=values,
        base=np.atleast_1d(np.asarray(explainer.expected_value, dtype="float64")),
        output=output,
        method="tree",
        space="probability" if classifier else "value",
        background="training rows, by the counts in the trees' nodes (path-dependent TreeSHAP)",
        background_rows=0,
    )


def _linear(estimator: Any, matrix: "Array") -> Attribution:
    import numpy as np

    coefficients = np.atleast_2d(estimator.coef_)
    intercept = np.atleast_1d(estimator.intercept_)
    centre = matrix.mean(axis=0)
    classifier = hasattr(estimator, "decision_function")
    output = estimator.decision_function(matrix) if classifier else estimator.predict(matrix)
    return Attribution(
        values=(matrix - centre)[:, :, None] * coefficients.T[None, :, :],
        base=coefficients @ centre + intercept,
        output=np.asarray(output).reshape(len(matrix), -1),
        method="linear",
        space="log-odds" if classifier else "value",
        background="the mean of the explained rows",
        background_rows=len(matrix),
    )


def _space(estimator: Any) -> OutputSpace:
    return "log-odds" if hasattr(estimator, "predict_proba") else "value"


def import_shap() -> Any:
    """shap, with its loops left to Python, and without the deprecation warning of matplotlib that its import sets off.

    Compiling the loops takes six seconds of a processor in every process and cannot be kept: numba caches no function
    that is given another one. Between two calls of a predictor they do so little that Python takes a second more.
    """
    import importlib
    import warnings

    # its variables are made in a function, where no type checker sees them
    config: Any = importlib.import_module("numba.core.config")
    # read where shap's functions are decorated
    compiling = config.DISABLE_JIT
    config.DISABLE_JIT = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import shap
    finally:
        config.DISABLE_JIT = compiling
    return shap
