"""What a person typed after `millrace bias`."""

from dataclasses import dataclass
from pathlib import Path

from millrace.contracts.errors import BadInput


@dataclass(frozen=True)
class BiasOptions:
    """The options of `millrace bias` as typed."""

    file: Path
    target: str
    sensitive: str
    positive: str | None
    task: str | None
    strata: str | None
    predictions: str | None
    score: str | None
    policy: str
    proxies: bool
    seed: int
    previous: Path | None
    weights: str | None
    out: Path | None
    mitigate: str | None = None
    treat: str | None = None
    aim: str = "demographic-parity"
    shift: bool = False
    above: float | None = None


def check_predictions(options: BiasOptions) -> None:
    """Nothing, when the columns of a model can be meant as they were named.

    Raises:
        BadInput: the target is named as its own prediction, or a score without predictions.
    """
    if options.predictions == options.target:
        raise BadInput(
            f"column {options.target[:80]!r} is both the target and the predictions",
            field="predictions",
            remedy="name the column with what a model said, or leave --predictions away to measure the label",
        )
    if options.score is not None and options.predictions is None:
        raise BadInput(
            "a score was named without predictions", field="score", remedy="name the column of --predictions too"
        )
