"""FLAML, imported without its side effects."""

import logging
import os
import sys
from typing import Any

_SWITCH = "PYARROW_IGNORE_TIMEZONE"


def automl_class() -> Any:
    """FLAML's AutoML class.

    FLAML 2.7 starts a Spark session (a Java process) while it is imported wherever PySpark is installed
    (flaml/automl/spark/__init__.py:103, for an option of pandas-on-Spark), and sets an environment variable that
    child processes inherit. We search in this process only, so PySpark is out of its sight while it is imported.
    """
    if "flaml" not in sys.modules:
        spark = sys.modules.get("pyspark")
        switch = os.environ.get(_SWITCH)
        sys.modules["pyspark"] = None  # type: ignore[assignment]
        try:
            import flaml  # noqa: F401
        finally:
            if spark is None:
                del sys.modules["pyspark"]
            else:
                sys.modules["pyspark"] = spark
            if switch is None:
                os.environ.pop(_SWITCH, None)
            else:
                os.environ[_SWITCH] = switch
    from flaml import AutoML

    # FLAML adds a handler on standard output unless its logger has one
    logger = logging.getLogger("flaml.automl.logger")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return AutoML
