"""Preprocessing inside the saved model: raw rows in, a matrix of numbers out.

Built from scikit-learn's transformers and module-level functions of NumPy and pandas alone, so that a process that
has the model's requirements but not this package can load it.
"""

from typing import TYPE_CHECKING, Any

from millrace.automl.features import INDICATOR_VALUES, MIN_TERM_ROWS, WORD
from millrace.automl.result import Feature
from millrace.contracts.stages import TaskType

if TYPE_CHECKING:
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

MISSING = "(missing)"
"""The category of a missing text value."""
MIN_CATEGORY_ROWS = 5
"""Values with fewer training rows share one indicator column, which also takes values never seen."""
MAX_INDICATORS = 2_000
"""Indicator columns in all, those of words included; 100,000 rows of float64 then stay under 1.6 GB."""
MAX_TERMS = 1_000
"""Words and pairs of words in all, the most frequent ones."""
PAIRS_UP_TO_ROWS = 20_000
"""Above it words alone: 100,000 rows of 30 words took 39 s with pairs, which is most of a time budget."""
MOST_TERM_ROWS = 0.8
"""A word in a larger share of the rows tells nothing apart."""

LARGEST = 1e30
"""Larger numbers, infinities among them, count as this one: squares and single precision still hold it."""

TRUSTED_TYPES = (
    "numpy.asarray",
    "numpy.clip",
    "numpy.dtype",
    "numpy.expand_dims",
    "numpy.ravel",
    "pandas.core.series.Series",
    "pandas.core.tools.datetimes.to_datetime",
    "sklearn.model_selection._split.KFold",
    "sklearn.utils.validation.check_array",
)
"""What skops must be told to trust to load the preprocessing."""


def build_preprocessor(
    features: tuple[Feature, ...], *, task_type: TaskType, classes: int, seed: int, rows: int
) -> "ColumnTransformer":
    """An unfitted transformer from raw rows to float64; `rows` is how many it will be fitted to.

    Each of its blocks is either one output a column, or one column's outputs: an output column can always be traced
    to its feature through `output_indices_`.
    """
    from sklearn.compose import ColumnTransformer

    numbers = [feature.name for feature in features if feature.kind in ("number", "boolean")]
    gaps = [feature.name for feature in features if feature.kind in ("number", "boolean") and feature.missing]
    texts = [feature for feature in features if feature.kind == "category"]
    written = sum(feature.kind == "text" for feature in features)
    most = MAX_INDICATORS - (MAX_TERMS if written else 0)
    indicators = max(2, min(INDICATOR_VALUES, most // max(1, len(texts))))
    blocks: list[tuple[str, Any, Any]] = []
    if numbers:
        blocks.append(("numbers", _numbers(), numbers))
    if gaps:
        blocks.append(("missing numbers", _gaps(), gaps))
    for position, feature in enumerate(features):
        if feature.kind == "date":
            blocks.append((f"date {position}", _date(), feature.name))
        elif feature.kind == "category":
            blocks.append((f"category {position}", _category(indicators), feature.name))
        elif feature.kind == "coded category":
            blocks.append((f"coded category {position}", _coded(task_type, classes, seed), feature.name))
        elif feature.kind == "text":
            blocks.append(
                (
                    f"text {position}",
                    _words(max(50, MAX_TERMS // written), pairs=rows <= PAIRS_UP_TO_ROWS),
                    feature.name,
                )
            )
    return ColumnTransformer(blocks, remainder="drop", sparse_threshold=0)


def _function(function: Any, **arguments: Any) -> Any:
    from sklearn.preprocessing import FunctionTransformer

    return FunctionTransformer(function, kw_args=arguments)


def _numbers() -> "Pipeline":
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(
        *_floats(),
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
    )


def _floats() -> tuple[Any, ...]:
    import numpy as np
    from sklearn.utils import check_array

    # unlike NumPy's own conversion, scikit-learn's takes pandas' NA
    return (
        _function(check_array, dtype="float64", ensure_all_finite=False),
        _function(np.clip, a_min=-LARGEST, a_max=LARGEST),
    )


def _gaps() -> "Pipeline":
    from sklearn.impute import MissingIndicator
    from sklearn.pipeline import make_pipeline

    return make_pipeline(*_floats(), MissingIndicator(features="all"))


def _date() -> "Pipeline":
    import numpy as np
    import pandas as pd
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    no_date = float(np.iinfo(np.int64).min)  # what NumPy makes of NaT
    return make_pipeline(
        _function(pd.to_datetime, errors="coerce", utc=True, format="ISO8601"),
        _function(np.asarray, dtype="datetime64[s]"),
        _function(np.asarray, dtype="float64"),
        _function(np.expand_dims, axis=1),
        SimpleImputer(missing_values=no_date, strategy="median", keep_empty_features=True),
        StandardScaler(),
    )


def _words(terms: int, *, pairs: bool) -> "Pipeline":
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(
        token_pattern=WORD, ngram_range=(1, 2 if pairs else 1), min_df=MIN_TERM_ROWS, max_df=MOST_TERM_ROWS,
        max_features=terms, sublinear_tf=True,
    )  # fmt: skip
    return make_pipeline(*_texts(missing=""), _function(np.ravel), words)


def _texts(missing: str = MISSING) -> tuple[Any, ...]:
    # by way of a categorical, None, NaN and NA all become NaN
    import numpy as np
    import pandas as pd
    from sklearn.impute import SimpleImputer

    return (
        _function(pd.Series, dtype="object"),
        _function(pd.Series, dtype="category"),
        _function(np.asarray, dtype="object"),
        _function(np.expand_dims, axis=1),
        SimpleImputer(missing_values=np.nan, strategy="constant", fill_value=missing),
    )


def _category(indicators: int) -> "Pipeline":
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    encoder = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=MIN_CATEGORY_ROWS,
        max_categories=indicators,
        sparse_output=False,
    )
    return make_pipeline(*_texts(), encoder)


def _coded(task_type: TaskType, classes: int, seed: int) -> "Pipeline":
    from sklearn.model_selection import KFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import TargetEncoder

    kind = "continuous" if task_type == "regression" else "binary" if classes == 2 else "multiclass"
    folds = KFold(5, shuffle=True, random_state=seed)
    return make_pipeline(*_texts(), TargetEncoder(target_type=kind, cv=folds))
