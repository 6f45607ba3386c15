"""The shape of a report's document as Pydantic models, and its JSON Schema: `python -m millrace.bias.document`."""

import json
import sys
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from millrace.bias.accounting.figures import StepFlow
from millrace.bias.catalogue import Metric
from millrace.bias.figures import Disparity, Facet, Group, Measure, Population, RowWeights, Significance, SubgroupSearch
from millrace.bias.mitigation.rule import MitigationRule
from millrace.bias.origin import Source
from millrace.bias.policy import Frame, JudgedMetric
from millrace.bias.report import FORMAT, Subject
from millrace.bias.score_figures import Abroca, Distribution, Reliability, ScoreBins
from millrace.bias.verdicts import Better
from millrace.contracts.stages import TaskType, Verdict

FILE = Path(__file__).parent / "schemas" / "bias-report.schema.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class JudgedFigure(_Shape):
    """One judged disparity in short."""

    attribute: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    verdict: Verdict


class Attribute(_Shape):
    """A sensitive column or a crossing of several."""

    attribute: str
    grouping: str
    verdict: Verdict
    population: Population
    groups: tuple[Group, ...]
    measures: tuple[Measure, ...]
    disparities: tuple[Disparity, ...]
    significance: tuple[Significance, ...]
    facets: tuple[Facet, ...]
    reliability: tuple[Reliability, ...]
    abroca: tuple[Abroca, ...]
    scores: ScoreBins | None
    distributions: tuple[Distribution, ...]


class PolicyLine(_Shape):
    """Where a verdict is drawn, which side is good, and whose line it is."""

    at: float
    better: Better
    source: str


class PolicySetting(_Shape):
    """A setting of the policy and where it comes from."""

    value: float | tuple[int, ...]
    source: str


class Scope(_Shape):
    """What the user says of the decision; empty where nothing was said."""

    frame: Frame
    decision: str
    affected: str
    harm: str
    approver: str
    valid_days: int


class Reference(_Shape):
    """The population that the rows should be like: shares by column and group, and where they come from."""

    source: str
    shares: dict[str, dict[str, float]]


class PolicyShape(_Shape):
    """The policy that the verdicts were drawn by; `sha256` is the hash of all that it says."""

    name: str
    version: int
    title: str
    purpose: str
    limits: str
    severity: Literal["warn", "error"]
    sha256: str
    scope: Scope
    mitigation: MitigationRule | None
    reference: Reference
    bands: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    """Where the bands of a column of numbers begin, for the columns that the policy names; earlier reports lack it."""
    lines: dict[JudgedMetric, PolicyLine]
    settings: dict[str, PolicySetting]


class AccountingShape(_Shape):
    """Rows of every group before and after each step; a step is named below the ratio `line`."""

    steps: tuple[StepFlow, ...]
    line: float
    confidence: float
    tests: int
    not_counted: tuple[str, ...]


class Parts(BaseModel):
    """Findings of other modules by name."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, dict[str, Any]] = Field(init=False)

    accounting: AccountingShape | None = None
    """Left out where nobody counted."""


class BiasDocument(_Shape):
    """A bias report as JSON. All but the last three fields are what `report_hash` is the SHA-256 of (canonical JSON).

    A number is a JSON number, `Infinity` or `-Infinity` as text, or null where it could not be measured.
    """

    format: Literal[FORMAT]  # type: ignore[valid-type]
    subject: Subject
    task_type: TaskType
    target: str
    positive: str | None
    outcomes: tuple[str, ...]
    rows: int
    rows_without_target: int
    weights: RowWeights | None
    """Where rows do not count alike: rates and shares are then weighted, counts absent."""
    verdict: Verdict | None
    holds_back: bool
    verdicts: tuple[JudgedFigure, ...]
    attributes: tuple[Attribute, ...]
    crossings: tuple[Attribute, ...]
    crossings_left_out: tuple[str, ...]
    searches: tuple[SubgroupSearch, ...]
    parts: Parts
    formulas: dict[str, Metric]
    distances: dict[str, str]
    """How a distance between groups is made: the end of its name → formula."""
    notes: tuple[str, ...]
    policy: PolicyShape
    seed: int
    report_hash: str | None = None
    input: Source | None = None
    software: dict[str, str] | None = None


class _Figures(GenerateJsonSchema):
    """Floats as the document writes them."""

    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        return {"anyOf": [{"type": "number"}, {"enum": ["Infinity", "-Infinity"]}, {"type": "null"}]}


def schema_text(shape: type[BaseModel] = BiasDocument, name: str = "bias-report") -> str:
    """A document's JSON Schema as its file holds it."""
    schema = shape.model_json_schema(mode="validation", schema_generator=_Figures)
    document = {"$schema": DIALECT, "$id": f"millrace:{name}", **schema}
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(schema_text(), encoding="utf-8", newline="\n")
    sys.stdout.write(f"{FILE.name}\n")
