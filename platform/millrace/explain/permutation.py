"""SHAP values of any predictor, by permutation of its raw columns."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from millrace.explain.attribution import Attribution, import_shap

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, Any]

BACKGROUND_ROWS = 25
ROUNDS = 6
"""Permutations a row, each walked forwards and backwards."""
PREDICTIONS = 2_000_000
"""Rows that the predictor is asked for in all, about ten seconds for a simple pipeline."""
ROWS = 300


def permutation_rows(columns: int) -> int:
    """Most rows to explain so that it ends in seconds."""
    return max(10, min(ROWS, PREDICTIONS // (ROUNDS * (2 * columns + 1) * BACKGROUND_ROWS)))


def permute(
    predictor: Any, rows: "pd.DataFrame", background: "pd.DataFrame", features: Sequence[str], *, seed: int
) -> Attribution:
    """SHAP values of the raw rows, a column a feature, in probabilities or values.

    A cell is told to shap as the position of the row it comes from, so that texts, dates and gaps need no encoding.
    """
    import numpy as np
    import pandas as pd

    shap = import_shap()
    names = list(features)
    cells = pd.concat([rows[names], background[names]], ignore_index=True)
    places = np.repeat(np.arange(len(cells), dtype="float64")[:, None], len(names), axis=1)

    def output(positions: "Array") -> "Array":
        taken = {
            name: cells[name].take(positions[:, column].astype(np.int64)).reset_index(drop=True)
            for column, name in enumerate(names)
        }
        asked = pd.DataFrame(taken)
        found = predictor.predict_proba(asked) if hasattr(predictor, "predict_proba") else predictor.predict(asked)
        return np.asarray(found, dtype="float64").reshape(len(asked), -1)

    masker = shap.maskers.Independent(places[len(rows) :], max_samples=len(background))
    explainer = shap.PermutationExplainer(output, masker, seed=seed)
    found = explainer(places[: len(rows)], max_evals=ROUNDS * (2 * len(names) + 1), silent=True)
    values = np.asarray(found.values)
    base = np.asarray(found.base_values)
    return Attribution(
        values=values if values.ndim == 3 else values[:, :, None],
        base=np.atleast_1d(base[0]),
        output=output(places[: len(rows)]),
        method="permutation",
        space="probability" if hasattr(predictor, "predict_proba") else "value",
        background="a seeded sample of the table's rows",
        background_rows=len(background),
    )
