"""Great Expectations, kept to what is needed: a suite of our choosing on one table, in memory, telling nobody."""

from __future__ import annotations

import logging
import math
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from millrace.quality.checks import CheckName
from millrace.warehouse.imports import out_of_sight

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


@dataclass(frozen=True)
class Wanted:
    """An expectation to validate: the class's name in Great Expectations, its arguments, and the check it serves."""

    check: CheckName
    expectation: str
    arguments: dict[str, Any] = field(default_factory=dict)


def validate(frame: pd.DataFrame, wanted: Sequence[Wanted]) -> list[dict[str, Any]]:
    """Result of each expectation, in the order wanted: check, type, arguments, success, observed, error.

    An expectation that could not be evaluated has success false and says why under `error`.
    """
    with warnings.catch_warnings():
        # importing it touches modules that Python 3.11 deprecates
        warnings.simplefilter("ignore")
        # it reads tables of Spark and files of S3 too, and imports what is installed for them: a fifth of its import
        with out_of_sight("pyspark", "boto3", "botocore"):
            import great_expectations as gx
            import great_expectations.expectations as expectations
        from great_expectations.data_context.types.base import ProgressBarsConfig

        logging.getLogger("great_expectations").setLevel(logging.WARNING)
        context = gx.get_context(mode="ephemeral")
        context.enable_analytics(False)
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        asset = context.data_sources.add_pandas("memory").add_dataframe_asset("table")
        batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
        # ids tie the results to what was wanted: the library groups them by column
        suite = gx.ExpectationSuite(
            "checks",
            expectations=[
                getattr(expectations, item.expectation)(**item.arguments, meta={"index": index})
                for index, item in enumerate(wanted)
            ],
        )
        results = batch.validate(suite, result_format="BASIC").results
    by_index = {result.expectation_config.meta["index"]: result for result in results}
    return [_plain(item, by_index[index]) for index, item in enumerate(wanted)]


def _plain(wanted: Wanted, result: Any) -> dict[str, Any]:
    found = result.result or {}
    observed = {
        name: _number(found[name])
        for name in ("observed_value", "element_count", "unexpected_count", "unexpected_percent")
        if name in found
    }
    trouble = _trouble(result.exception_info or {})
    return {
        "check": wanted.check,
        "type": result.expectation_config.type,
        "arguments": wanted.arguments,
        "success": bool(result.success) and trouble is None,
        "observed": observed,
        "error": trouble,
    }


def _trouble(info: dict[str, Any]) -> str | None:
    # one entry, or one per metric
    entries = [info] if "raised_exception" in info else [item for item in info.values() if isinstance(item, dict)]
    raised = [str(item.get("exception_message"))[:300] for item in entries if item.get("raised_exception")]
    return "; ".join(raised) or None


def _number(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)[:200]
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() else float(f"{number:.10g}")
