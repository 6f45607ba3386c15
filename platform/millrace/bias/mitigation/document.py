"""The shape of a mitigation's document, and its JSON Schema: `python -m millrace.bias.mitigation.document`."""

import sys
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from millrace.bias.document import PolicyShape, schema_text
from millrace.bias.mitigation.figures import Plane, Recommendation, Result, Scope
from millrace.bias.mitigation.methods import Description
from millrace.bias.mitigation.names import Method
from millrace.bias.mitigation.report import FORMAT
from millrace.bias.origin import Source

FILE = Path(__file__).parent.parent / "schemas" / "mitigation-report.schema.json"


class MitigationDocument(BaseModel):
    """A mitigation as JSON. All but the last three fields are what `report_hash` is the SHA-256 of (canonical JSON).

    A number is a JSON number, `Infinity` or `-Infinity` as text, or null where it could not be measured.
    """

    model_config = ConfigDict(extra="forbid")

    format: Literal[FORMAT]  # type: ignore[valid-type]
    scope: Scope
    target_gap: str
    """The distance between groups that the aim is about."""
    methods: dict[Method, Description]
    results: tuple[Result, ...]
    """Every method that was tried, against the same untreated model."""
    planes: tuple[Plane, ...]
    recommendation: Recommendation
    warnings: tuple[str, ...]
    policy: PolicyShape
    report_hash: str | None = None
    input: Source | None = None
    software: dict[str, str] | None = None


if __name__ == "__main__":
    FILE.write_text(schema_text(MitigationDocument, "mitigation-report"), encoding="utf-8", newline="\n")
    sys.stdout.write(f"{FILE.name}\n")
