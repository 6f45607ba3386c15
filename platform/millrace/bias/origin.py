"""What a report's document says of its origin, outside the hashed part: the inputs' hashes and the software."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from millrace import __version__

if TYPE_CHECKING:
    from millrace.bias.report import BiasReport

SOFTWARE = ("numpy", "pandas", "scipy", "scikit-learn")
"""Packages that the figures rest on."""


class Source(BaseModel):
    """The bytes that were measured. A file, or a version of a data set with the model that predicted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    """Of the file, or of the data set version as it came."""
    file: str | None = None
    predictions: str | None = None
    """Columns of the file that held predictions, scores, strata and numbers of people."""
    score: str | None = None
    strata: str | None = None
    weights: str | None = None
    above: float | None = None
    """The number above which the target was favourable."""
    dataset: str | None = None
    """`user.dataset`."""
    version: int | None = None
    table_sha256: str | None = None
    """Of the version's table as it was read."""
    model: str | None = None
    """Version of the model, such as `v1`."""
    model_sha256: str | None = None


def software() -> dict[str, str]:
    """Versions of Millrace, Python and the packages that the figures rest on."""
    return {
        "millrace": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in SOFTWARE},
    }


def whole_document(report: BiasReport, source: Source) -> dict[str, Any]:
    """The report's document with its hash, the inputs' hashes and the software."""
    return {
        **report.document(),
        "report_hash": report.report_hash,
        "input": source.model_dump(mode="json", exclude_none=True),
        "software": software(),
    }


def document_text(document: dict[str, Any]) -> str:
    """The document as a file holds it: the same bytes in every locale and time zone."""
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
