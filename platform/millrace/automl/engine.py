"""FLAML, imported without its side effects."""

import logging
import os
import sys
from typing import Any

from millrace.warehouse.imports import out_of_sight

_SWITCH = "PYARROW_IGNORE_TIMEZONE"


def automl_class() -> Any:
    """FLAML's AutoML class.

    FLAML 2.7 starts a Spark session (a Java process) while it is imported wherever PySpark is installed
    (flaml/automl/spark/__init__.py:103, for an option of pandas-on-Spark), and sets an environment variable that
    child processes inherit. We search in this process only, so PySpark is out of its sight while it is imported.
    """
    if "flaml" not in sys.modules:
        switch = os.environ.get(_SWITCH)
        try:
            with out_of_sight("pyspark"):
                import flaml  # noqa: F401
        finally:
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
