"""The metrics of SageMaker Clarify: name, formula, range and meaning of each, in Clarify's order.

Source: aws/amazon-sagemaker-clarify, smclarify 0.5. `a` is everyone else, `d` the facet; n rows, y observed and ŷ
predicted favourable outcomes.
"""

from dataclasses import dataclass
from typing import Literal

Moment = Literal["before training", "after training", "either"]


@dataclass(frozen=True)
class Metric:
    """What is said of one metric. `neutral` is the value that means no difference."""

    name: str
    title: str
    formula: str
    range: str
    neutral: float | None
    meaning: str
    moment: Moment


def _before(
    name: str, title: str, formula: str, span: str, meaning: str, *, neutral: float | None = 0.0
) -> tuple[str, Metric]:
    return name, Metric(name, title, formula, span, neutral, meaning, "before training")


def _after(name: str, title: str, formula: str, span: str, meaning: str, neutral: float = 0.0) -> tuple[str, Metric]:
    return name, Metric(name, title, formula, span, neutral, meaning, "after training")


CATALOGUE: dict[str, Metric] = dict(
    [
        _before("CI", "Class imbalance", "(n_a − n_d) / (n_a + n_d)", "−1 to 1", "above 0: the facet is the minority"),
        _before(
            "DPL", "Difference in label rates", "y_a/n_a − y_d/n_d", "−1 to 1", "above 0: the facet is favoured less"
        ),
        _before(
            "KL", "Kullback–Leibler divergence", "Σ P_a ln(P_a/P_d)", "0 to ∞", "0 when both label distributions agree"
        ),
        _before(
            "JS",
            "Jensen–Shannon divergence",
            "½ KL(P_a, P) + ½ KL(P_d, P), P their mean",
            "0 to ln 2",
            "0 when both agree",
        ),
        _before("LP", "L2 norm", "‖P_a − P_d‖₂", "0 to √2", "0 when both agree"),
        _before("TVD", "Total variation distance", "½ ‖P_a − P_d‖₁", "0 to 1", "0 when both agree"),
        _before("KS", "Kolmogorov–Smirnov distance", "max |P_a − P_d|", "0 to 1", "0 when both agree"),
        _before(
            "CDDL",
            "Conditional demographic disparity of labels",
            "Σ n_i (R_i − A_i) / n over strata i",
            "−1 to 1",
            "above 0: more of the refused than of the favoured are the facet's, within strata",
        ),
        _after(
            "DPPL",
            "Difference in predicted rates",
            "ŷ_a/n_a − ŷ_d/n_d",
            "−1 to 1",
            "above 0: the facet is selected less",
        ),
        _after("DI", "Disparate impact", "(ŷ_d/n_d) / (ŷ_a/n_a)", "0 to ∞", "below 1: the facet is selected less", 1.0),
        _after(
            "DCA",
            "Difference in conditional acceptance",
            "y_a/ŷ_a − y_d/ŷ_d",
            "any",
            "below 0: the facet is accepted less than it qualifies",
        ),
        _after(
            "DCR",
            "Difference in conditional rejection",
            "(n−y)_d/(n−ŷ)_d − (n−y)_a/(n−ŷ)_a",
            "any",
            "below 0: the facet is refused more than it fails to qualify",
        ),
        _after(
            "RD",
            "Recall difference",
            "TP_a/y_a − TP_d/y_d",
            "−1 to 1",
            "above 0: qualified members of the facet are found less",
        ),
        _after(
            "SD",
            "Specificity difference",
            "TN_d/(n−y)_d − TN_a/(n−y)_a",
            "−1 to 1",
            "below 0: the facet has more false positives",
        ),
        _after(
            "DAR",
            "Difference in acceptance rates (precision)",
            "TP_a/ŷ_a − TP_d/ŷ_d",
            "−1 to 1",
            "above 0: a selection of the facet is right less often",
        ),
        _after(
            "DRR",
            "Difference in rejection rates",
            "TN_d/(n−ŷ)_d − TN_a/(n−ŷ)_a",
            "−1 to 1",
            "below 0: a refusal of the facet is right less often",
        ),
        _after(
            "AD",
            "Accuracy difference",
            "(TP+TN)_a/n_a − (TP+TN)_d/n_d",
            "−1 to 1",
            "above 0: the facet is predicted worse",
        ),
        _after("TE", "Treatment equality", "FN_d/FP_d − FN_a/FP_a", "any", "above 0: errors lean against the facet"),
        _after(
            "CDDPL",
            "Conditional demographic disparity of predictions",
            "Σ n_i (R_i − A_i) / n over strata i",
            "−1 to 1",
            "above 0: more of the refused than of the selected are the facet's, within strata",
        ),
        _after(
            "FT",
            "Flip test",
            "(F⁺ − F⁻) / n_d",
            "−1 to 1",
            "below 0: more of the facet would have been selected as their nearest neighbours among everyone else were",
        ),
        _after(
            "GE",
            "Generalised entropy",
            "½ Σ ((b/mean b)² − 1) / n, b = ŷ − y + 1",
            "0 and above",
            "0 when everyone gets the same benefit; of all rows, the same for every facet",
        ),
    ]
)
BEFORE = tuple(name for name, metric in CATALOGUE.items() if metric.moment == "before training")
AFTER = tuple(name for name, metric in CATALOGUE.items() if metric.moment == "after training")
