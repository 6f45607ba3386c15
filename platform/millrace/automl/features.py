"""Which columns a model reads, how, and which it leaves out and why."""

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from millrace.automl.result import Feature, FeatureKind, LeftOut
from millrace.contracts.errors import StageFailed

if TYPE_CHECKING:
    import pandas as pd

WORD = r"(?u)\b\w\w+\b"
"""A word of a text; scikit-learn's own."""
MIN_TERM_ROWS = 3
"""A word, or two in a row, in fewer training rows is not a feature."""
INDICATOR_VALUES = 40
"""A text column with at most this many values gets one indicator column a value; above, it is coded by the target."""
FREE_TEXT_SHARE = 0.5
"""A text column in which more than this share of the values are different is free text or an identifier."""
FREE_TEXT_VALUES = 50
"""Fewer different values than this are categories whatever their share: a small table repeats little."""
FREE_TEXT_LENGTH = 40
"""Mean length in characters above which different texts are called free text rather than identifiers."""
FREE_TEXT_WORDS = 4
"""Mean words from which they are: short messages are below the length."""
_SAMPLE_ROWS = 2_000
_COMMON_SHARE = 0.5
"""Below the share of rows in which a term may be (preprocess): what this sample finds is then found in all rows."""


def choose_features(train: "pd.DataFrame", target: str) -> tuple[tuple[Feature, ...], tuple[LeftOut, ...]]:
    """The columns that the model reads and those left out, decided on the training rows alone.

    Raises:
        StageFailed: no column can be used.
    """
    used: list[Feature] = []
    left_out: list[LeftOut] = []
    for name in train.columns:
        if name == target:
            continue
        column = train[name]
        present = column.dropna()
        kind, reason = _judge(present)
        if kind is None:
            left_out.append(LeftOut(name=name, reason=reason))
        else:
            missing = len(column) - len(present)
            used.append(Feature(name=name, dtype=str(column.dtype), kind=kind, missing=missing))
    if not used:
        raise StageFailed(
            "no column besides the target can be used: every one is empty, constant, an identifier or free text",
            field="target",
            remedy="upload a table with at least one informative column",
        )
    return tuple(used), tuple(left_out)


def _judge(present: "pd.Series[Any]") -> tuple[FeatureKind | None, str]:
    from pandas.api import types

    if present.empty:
        return None, "no value in any training row"
    if types.is_bool_dtype(present) or _only(present, bool):
        return ("boolean", "") if present.nunique() > 1 else (None, "the same value in every training row")
    if types.is_numeric_dtype(present) or _decimal(present):
        return _judge_number(present)
    if types.is_datetime64_any_dtype(present) or _dates(present):
        return ("date", "") if present.nunique() > 1 else (None, "the same value in every training row")
    if _only(present, str) or isinstance(present.dtype, _categorical()):
        return _judge_text(present.astype(str))
    return None, f"values of type {type(present.iloc[0]).__name__} cannot be used"


def _judge_number(present: "pd.Series[Any]") -> tuple[FeatureKind | None, str]:
    from pandas.api import types

    distinct = present.nunique()
    if distinct < 2:
        return None, "the same value in every training row"
    counts_up = present.is_monotonic_increasing or present.is_monotonic_decreasing
    if types.is_integer_dtype(present) and distinct == len(present) and counts_up and len(present) > FREE_TEXT_VALUES:
        return None, "a row number: every value is different and in order"
    return "number", ""


def _judge_text(present: "pd.Series[Any]") -> tuple[FeatureKind | None, str]:
    distinct = present.nunique()
    if distinct < 2:
        return None, "the same value in every training row"
    if distinct > FREE_TEXT_VALUES and distinct > FREE_TEXT_SHARE * len(present):
        if present.str.len().mean() > FREE_TEXT_LENGTH or present.str.count(r"\S+").mean() >= FREE_TEXT_WORDS:
            if _words_repeat(present):
                return "text", ""
            return None, "free text in which no word is in some of the training rows: all or nearly none have it"
        return None, f"an identifier: {distinct:,} different values in {len(present):,} training rows"
    return ("category" if distinct <= INDICATOR_VALUES else "coded category"), ""


def _words_repeat(present: "pd.Series[Any]") -> bool:
    rows = present.head(_SAMPLE_ROWS)
    counts = Counter(word for text in rows for word in set(re.findall(WORD, text.lower())))
    return any(MIN_TERM_ROWS <= count <= _COMMON_SHARE * len(rows) for count in counts.values())


def _only(present: "pd.Series[Any]", kind: type) -> bool:
    if present.dtype == "object":
        return all(isinstance(value, kind) for value in present)
    return kind is str and str(present.dtype).startswith("str")


def _decimal(present: "pd.Series[Any]") -> bool:
    from decimal import Decimal

    return present.dtype == "object" and all(
        isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in present
    )


def _dates(present: "pd.Series[Any]") -> bool:
    from datetime import date

    return _only(present, date)


def _categorical() -> type:
    import pandas as pd

    return pd.CategoricalDtype
