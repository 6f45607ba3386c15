"""A table of loan applications with a planted bias that is known exactly.

How a row is made: eight independent standard normal numbers stand behind the financial columns. Their weighted sum
is a standard normal `merit`. An application is worthy when `MEAN + SPREAD * merit + noise > 0` with standard normal
noise; worthy applications are approved, with one exception, the planted bias: a share of the worthy applications of
women is refused all the same (`PlantedBias.refused_share`). Sex, age, marital status, region and date are drawn
independently of everything financial, so there is no other difference between groups, and the truth has a closed form
(Φ is the standard normal distribution function):

    rate of men = Φ(MEAN / √(1 + SPREAD²)), rate of women = (1 - refused_share) * rate of men

Missing values are blanked at random afterwards, also in `sex` and `marital_status`; the target has none. Nobody in the
table is real.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING

from millrace.contracts.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

TARGET = "approved"
POSITIVE = "yes"
SENSITIVE = ("sex", "age", "marital_status")

MEAN = 0.3
SPREAD = 2.2
"""Standard deviation of merit against noise of 1; a good model reaches a ROC AUC of about 0.86 on the biased label."""

MISSING_SHARES = {"sex": 0.03, "marital_status": 0.02, "income": 0.04, "savings": 0.06, "employment": 0.02}
"""Share of the rows whose value is blanked, independently of everything else."""

_WEIGHTS = {
    "income": 0.50,
    "debt": -0.42,
    "savings": 0.30,
    "late_payments": -0.52,
    "employment": 0.28,
    "credit_amount": -0.24,
    "owns_home": 0.20,
    "has_guarantor": 0.18,
}


@dataclass(frozen=True)
class PlantedBias:
    """The truth about one attribute: what the generator does, and the rates that follow from it."""

    attribute: str
    disadvantaged: str
    refused_share: float
    """Share of the group's otherwise approved applications that is refused."""
    others_rate: float
    """Expected selection rate of everyone else."""

    @property
    def disadvantaged_rate(self) -> float:
        """Expected selection rate of the disadvantaged group."""
        return self.others_rate * (1 - self.refused_share)

    @property
    def expected_difference(self) -> float:
        """Expected difference of the selection rates, others minus disadvantaged."""
        return self.others_rate - self.disadvantaged_rate

    @property
    def expected_ratio(self) -> float:
        """Expected ratio of the selection rates, disadvantaged over others."""
        return 1 - self.refused_share


PLANTED_BIAS = PlantedBias(
    attribute="sex",
    disadvantaged="female",
    refused_share=0.30,
    others_rate=NormalDist().cdf(MEAN / math.sqrt(1 + SPREAD**2)),
)
"""The only bias in the table: `age`, `marital_status` and `region` have none."""


def generate_loans(rows: int = 5000, seed: int = 7) -> pd.DataFrame:
    """The table: one row per application, the same for the same rows and seed.

    Columns: application_date (date), sex, age, marital_status, region, employment, income, debt, savings,
    credit_amount, late_payments, owns_home, has_guarantor, purpose, approved (yes or no).

    Raises:
        BadInput: fewer than one row.
    """
    import numpy as np
    import pandas as pd

    if rows < 1:
        raise BadInput(f"rows is {rows}", field="rows", remedy="ask for one row or more")
    rng = np.random.default_rng(seed)
    sex = rng.choice(["female", "male"], rows, p=[0.48, 0.52])
    latent = {name: rng.standard_normal(rows) for name in _WEIGHTS}
    approved = _decide(latent, sex, rng)
    frame = pd.DataFrame(
        {
            "application_date": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 730, rows), unit="D"),
            "sex": sex,
            "age": rng.triangular(18, 34, 80, rows).astype(np.int64),
            "marital_status": rng.choice(["single", "married", "divorced"], rows, p=[0.36, 0.44, 0.20]),
            "region": rng.choice(["north", "south", "east", "west", "capital"], rows, p=[0.2, 0.25, 0.15, 0.15, 0.25]),
            "employment": _cut(
                latent["employment"], [-1.4, -0.6, 0.0], ["unemployed", "temporary", "self-employed", "permanent"]
            ),
            "income": _money(34_000, 0.45, latent["income"]),
            "debt": _money(9_000, 0.80, latent["debt"]),
            "savings": _money(5_000, 1.10, latent["savings"]),
            "credit_amount": _money(12_000, 0.70, latent["credit_amount"]),
            "late_payments": np.floor(np.maximum(0.0, 1.2 + 1.8 * latent["late_payments"])).astype(np.int64),
            "owns_home": latent["owns_home"] > 0.2,
            "has_guarantor": latent["has_guarantor"] > 1.0,
            "purpose": rng.choice(
                ["car", "home", "education", "business", "other"], rows, p=[0.3, 0.25, 0.15, 0.12, 0.18]
            ),
            TARGET: np.where(approved, POSITIVE, "no"),
        }
    )
    for name, share in MISSING_SHARES.items():
        frame[name] = frame[name].mask(rng.random(rows) < share)
    return frame


def write_csv(path: Path, rows: int = 5000, seed: int = 7) -> Path:
    """Writes the table as CSV (UTF-8, comma, one header line) and gives its path back; same bytes for the same seed."""
    frame = generate_loans(rows, seed)
    for name in ("owns_home", "has_guarantor"):
        frame[name] = frame[name].map({True: "true", False: "false"})
    frame["income"] = frame["income"].astype("Int64")
    frame["savings"] = frame["savings"].astype("Int64")
    frame.to_csv(path, index=False, lineterminator="\n", date_format="%Y-%m-%d", encoding="utf-8")
    return path


def _decide(latent: dict[str, np.ndarray], sex: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    rows = len(sex)
    length = math.sqrt(sum(weight**2 for weight in _WEIGHTS.values()))
    merit = sum(weight / length * latent[name] for name, weight in _WEIGHTS.items())
    worthy = MEAN + SPREAD * merit + rng.standard_normal(rows) > 0
    refused = (sex == PLANTED_BIAS.disadvantaged) & (rng.random(rows) < PLANTED_BIAS.refused_share)
    decided: np.ndarray = worthy & ~refused
    return decided


def _money(median: float, spread: float, latent: np.ndarray) -> np.ndarray:
    import numpy as np

    # whole tens: the last bits of exp() differ between machines, the file must not
    amounts: np.ndarray = (np.round(median * np.exp(spread * latent) / 10) * 10).astype(np.int64)
    return amounts


def _cut(latent: np.ndarray, edges: list[float], names: list[str]) -> np.ndarray:
    import numpy as np

    chosen: np.ndarray = np.array(names, dtype=object)[np.searchsorted(edges, latent)]
    return chosen
