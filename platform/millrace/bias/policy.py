"""Policies: the lines that verdicts are drawn at and what a comparison needs, each with its source and its limits."""

import itertools
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from millrace.bias.mitigation.rule import MitigationRule
from millrace.bias.verdicts import Better
from millrace.contracts.canonical import sha256_json
from millrace.contracts.errors import BadInput, Conflict
from millrace.contracts.stages import BIAS_POLICIES

JudgedMetric = Literal[
    "selection_rate_ratio",
    "selection_rate_difference",
    "scoring_rate_ratio",
    "true_positive_rate_difference",
    "false_positive_rate_difference",
    "equalized_odds_difference",
    "precision_difference",
    "accuracy_difference",
    "macro_true_positive_rate_difference",
    "macro_precision_difference",
    "auc_difference",
    "mean_standardised_difference",
    "mean_prediction_standardised_difference",
    "mean_error_standardised_difference",
    "mae_ratio",
    "rmse_ratio",
    "r2_difference",
]
JUDGED: tuple[JudgedMetric, ...] = get_args(JudgedMetric)
SHIPPED = BIAS_POLICIES
DEFAULT = SHIPPED[0]
Frame = Literal["none", "US hiring", "NYC LL144", "EU AI Act", "credit"]
"""Legal frame that the user chose; the figures are the same in all of them."""
_FOLDER = Path(__file__).parent / "policies"

SOURCES = {
    "confidence": "Convention. Intervals of one comparison hold together: the chance that any of them misses is small.",
    "minimum_group": "Below about 30 rows an interval spans a third of the scale and more; a usual floor.",
    "minimum_share": "0 leaves out no group for its share of the rows.",
    "minimum_outcomes": "With fewer than 10 favourable or unfavourable outcomes in all there is nothing to compare.",
    "minimum_power": "A sample that would more likely miss than find a glaring gap says nothing when it finds none.",
    "glaring_gap": "Convention: 30 percentage points, a difference that nobody would call small.",
    "maximum_groups": "More groups than a person can read; the smallest are pooled and counted.",
    "maximum_outcomes": "More classes than a person can read; the rarest are named and left out.",
    "maximum_crossings": "More crossings than a person can read; those beyond are counted.",
    "crossing_depth": "Crossings of more columns have few rows each; the search for the worst subgroup looks as deep.",
    "age_bands": "25 and 60 are usual in credit studies, 40 is the US age discrimination act's.",
    "kept_ratio": "A step that keeps less of a group than this ratio of what it keeps of everyone else is named: half "
    "of the distance that the four-fifths rule allows a whole selection, because steps add up. mlinspect warns when a "
    "group's share falls by 30%.",
    "bootstraps": "Resamples; 2,000 put an interval's ends within about a tenth of its width.",
    "permutations": "999 give p-values to one in a thousand.",
}
"""Where each setting comes from, unless the policy says otherwise."""


class Line(BaseModel):
    """Where a verdict is drawn. `source` is a law, a guideline or a convention, in words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: float = Field(ge=0, le=10, allow_inf_nan=False)
    source: str = Field(min_length=10)


class Policy(BaseModel):
    """Thresholds of the verdicts. A metric without a line is shown and not judged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    version: int = Field(ge=1)
    title: str
    purpose: str
    limits: str
    """What the policy is not, said plainly."""
    severity: Literal["warn", "error"]
    """What a failing verdict is for a gate: `error` holds back what comes after."""
    frame: Frame = "none"
    decision: str = Field("", max_length=500)
    """What is decided, who is affected, what harm an error does, who answers for the report: said by the user."""
    affected: str = Field("", max_length=500)
    harm: str = Field("", max_length=500)
    approver: str = Field("", max_length=200)
    valid_days: int = Field(365, ge=1, le=3650)
    """Days after which a report by this policy is out of date."""
    reference: dict[str, dict[str, Annotated[float, Field(ge=0, le=1)]]] = Field(default_factory=dict)
    """Sensitive column → group → its share of the population that the rows should be like."""
    reference_source: str = Field("", max_length=500)
    lines: dict[JudgedMetric, Line] = Field(min_length=1)
    confidence: float = Field(0.95, ge=0.5, lt=1)
    minimum_group: int = Field(30, ge=2)
    minimum_share: float = Field(0.0, ge=0, lt=0.5)
    minimum_outcomes: int = Field(10, ge=1)
    minimum_power: float = Field(0.5, ge=0, lt=1)
    glaring_gap: float = Field(0.3, gt=0, lt=1)
    maximum_groups: int = Field(20, ge=2, le=100)
    maximum_outcomes: int = Field(10, ge=1, le=100)
    maximum_crossings: int = Field(12, ge=0, le=200)
    crossing_depth: Literal[1, 2, 3] = 3
    age_bands: tuple[Annotated[int, Field(ge=1, le=120)], ...] = (25, 40, 60)
    bands: dict[str, Annotated[tuple[FiniteFloat, ...], Field(min_length=1, max_length=50)]] = Field(
        default_factory=dict
    )
    """Column of numbers → where its bands begin, rising; without it ages have `age_bands`, other numbers quarters."""
    kept_ratio: float = Field(0.9, gt=0, lt=1)
    bootstraps: int = Field(2000, ge=100, le=100_000)
    permutations: int = Field(999, ge=99, le=100_000)
    mitigation: MitigationRule | None = None
    """What is tried by itself on a model that does not pass; None: nothing but what a person asks for."""
    sources: dict[str, str] = Field(default_factory=dict)
    """Sources of settings that differ from the usual ones, by the setting's name."""

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        for column, shares in self.reference.items():
            if sum(shares.values()) > 1 + 1e-6:
                raise ValueError(f"reference: the shares of {column!r} sum to more than 1")
        if self.reference and not self.reference_source:
            raise ValueError("reference: name its source (reference_source)")
        return self

    @model_validator(mode="after")
    def _bands_rise(self) -> Self:
        for column, starts in self.bands.items():
            if any(right <= left for left, right in itertools.pairwise(starts)):
                raise ValueError(f"bands: those of {column!r} do not rise")
        return self

    @model_validator(mode="after")
    def _sources_name_settings(self) -> Self:
        unknown = set(self.sources) - set(SOURCES)
        if unknown:
            raise ValueError(f"sources names {sorted(unknown)[0]!r}, which is no setting of a policy")
        return self

    def line(self, metric: str) -> float | None:
        """Where the metric is judged; None when this policy does not judge it."""
        found = self.lines.get(metric)  # type: ignore[call-overload]
        return None if found is None else float(found.at)

    @cached_property
    def sha256(self) -> str:
        """Hash of everything that the policy says; one without bands has the hash of before they could be named."""
        return sha256_json(self.model_dump(mode="json", exclude=None if self.bands else {"bands"}))

    def document(self) -> dict[str, Any]:
        """The policy as JSON: lines with direction and source, settings with value and source, hash."""
        values = self.model_dump(mode="json")
        return {
            **{name: values[name] for name in ("name", "version", "title", "purpose", "limits", "severity")},
            "sha256": self.sha256,
            "scope": {
                name: values[name] for name in ("frame", "decision", "affected", "harm", "approver", "valid_days")
            },
            "mitigation": values["mitigation"],
            "reference": {"source": self.reference_source, "shares": values["reference"]},
            "bands": values["bands"],
            "lines": {
                metric: {"at": line.at, "better": better(metric), "source": line.source}
                for metric, line in self.lines.items()
            },
            "settings": {
                name: {"value": values[name], "source": self.sources.get(name, usual)}
                for name, usual in SOURCES.items()
            },
        }


def better(metric: str) -> Better:
    """Which side of a line is good: a ratio should be high, a difference low."""
    return "higher" if metric.endswith("_ratio") else "lower"


@cache
def shipped_policy(name: str = DEFAULT) -> Policy:
    """One of the policies that come with the platform.

    Raises:
        BadInput: there is none of that name.
    """
    if name not in SHIPPED:
        raise BadInput(
            f"there is no policy {name[:80]!r}",
            field="policy",
            remedy=f"name one of {', '.join(SHIPPED)}, or a YAML file",
        )
    return _parsed((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"), name)


def read_policy(path: Path) -> Policy:
    """The policy of a YAML file.

    Raises:
        BadInput: the file cannot be read, is no YAML, lacks something or names an unknown metric or setting.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"policy {path} cannot be read: {error}", field="policy", remedy="name a YAML file") from error
    return _parsed(text, str(path))


def find_policy(name: str) -> Policy:
    """The shipped policy of that name, or that of a YAML file.

    Raises:
        BadInput: there is neither, or the file is no policy.
    """
    return shipped_policy(name) if name in SHIPPED or not Path(name).exists() else read_policy(Path(name))


def pinned_policy(name: str, sha256: str | None) -> Policy:
    """The policy as it was when it was pinned; `sha256` None pins nothing.

    Raises:
        BadInput: there is none, or the file is no policy.
        Conflict: it says something else now.
    """
    policy = find_policy(name)
    if sha256 is not None and policy.sha256 != sha256:
        raise Conflict(
            f"bias policy {name} has changed since the pipeline began: it had SHA-256 {sha256[:12]}… and has "
            f"{policy.sha256[:12]}… now. Its lines must stand before anything is measured or trained",
            field="bias_policy",
            remedy="put the former policy back and retry, or start a new pipeline",
        )
    return policy


def _parsed(text: str, where: str) -> Policy:
    try:
        return Policy.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise BadInput(f"policy {where} is no YAML: {error}", field="policy", remedy="correct the file") from error
    except ValidationError as error:
        first = error.errors()[0]
        loc = first["loc"]
        place = ".".join(str(part) for part in loc) or "policy"
        said = f"policy {where}: {place}: {first['msg']}"
        if loc and loc[0] == "lines":
            if loc[-1] == "[key]":
                said = f"policy {where}: lines: there is no metric {str(loc[1])[:80]!r} that can be judged"
            remedy = "metrics that can be judged: " + ", ".join(JUDGED)
        else:
            remedy = "correct the file; the shipped policies in millrace/bias/policies are complete examples"
        raise BadInput(said, field="policy", remedy=remedy) from error
