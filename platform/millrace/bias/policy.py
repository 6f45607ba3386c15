"""The lines that verdicts are drawn at, and where each comes from."""

from dataclasses import asdict, dataclass, fields
from typing import Any

SOURCES = {
    "confidence": "Convention. Intervals of one comparison hold together: the chance that any of them misses is 5%.",
    "ratio_line": "The four-fifths rule of the US Uniform Guidelines on Employee Selection Procedures "
    "(29 CFR 1607.4 D), a rule of thumb of hiring law; outside it a convention, not a legal test.",
    "rate_line": "Convention of fairness toolkits (AIF360 calls −0.1 to 0.1 fair); no law sets it.",
    "mean_line": "Cohen 1988: 0.2 standard deviations is a small effect.",
    "error_line": "Half of Cohen's small effect: an error that leans against a group repeats in every decision.",
    "minimum_group": "Below about 30 rows an interval spans a third of the scale and more; a usual floor.",
    "minimum_outcomes": "With fewer than 10 favourable or unfavourable outcomes in all there is nothing to compare.",
    "maximum_groups": "More groups than a person can read; the smallest are pooled and counted.",
    "maximum_outcomes": "More classes than a person can read; the rarest are named and left out.",
    "age_bands": "25 and 60 are usual in credit studies, 40 is the US age discrimination act's.",
    "bootstraps": "Resamples of the cross-check interval; 2,000 put its ends within about a tenth of its width.",
}


@dataclass(frozen=True)
class Policy:
    """Thresholds of the verdicts; `SOURCES` says in words where each comes from."""

    confidence: float = 0.95
    ratio_line: float = 0.8
    rate_line: float = 0.1
    mean_line: float = 0.2
    error_line: float = 0.1
    minimum_group: int = 30
    minimum_outcomes: int = 10
    maximum_groups: int = 20
    maximum_outcomes: int = 10
    age_bands: tuple[int, ...] = (25, 40, 60)
    bootstraps: int = 2000

    def document(self) -> dict[str, Any]:
        """The thresholds with their sources, as JSON."""
        values = asdict(self) | {"age_bands": list(self.age_bands)}
        return {field.name: {"value": values[field.name], "source": SOURCES[field.name]} for field in fields(self)}


DEFAULT_POLICY = Policy()
