"""The seventeen sections of a bias report, in order, and the three levels at which one result is read."""

from dataclasses import dataclass
from typing import Literal

View = Literal["plain", "analyst", "everything"]

VIEWS: dict[View, str] = {"plain": "In plain words", "analyst": "Analyst", "everything": "Everything"}


@dataclass(frozen=True)
class Section:
    """One section. `parts` of a report with the same number are shown at its end."""

    number: int
    anchor: str
    title: str
    absent: str = ""
    """What is said where the section has nothing and no part fills it."""

    @property
    def template(self) -> str:
        """Template of the section."""
        return f"bias/{self.number:02}_{self.anchor}.html"


SECTIONS = (
    Section(1, "scope", "Scope"),
    Section(2, "provenance", "Where the data come from"),
    Section(3, "representation", "Who is in the data"),
    Section(4, "label", "Bias of the label"),
    Section(5, "predictions", "Bias of the predictions"),
    Section(6, "verdicts", "Ratios, differences and verdicts"),
    Section(7, "tests", "Chance or not"),
    Section(8, "crossings", "Crossings and the worst subgroup"),
    Section(
        9,
        "proxies",
        "Proxies",
        "Could not check: this report was made without looking for columns that stand in for a sensitive one. "
        "Leaving a sensitive column out of training does not remove what other columns say of it.",
    ),
    Section(
        10,
        "causes",
        "Where it comes from",
        "Could not check: the steps that the rows went through were not counted for this report.",
    ),
    Section(11, "flips", "What if only the group were different"),
    Section(
        12,
        "mitigation",
        "What can be done",
        "No mitigation was tried for this report. One can reweigh the rows before training, constrain the training, "
        "or move the thresholds after it; each closes some gaps and may open others.",
    ),
    Section(13, "thresholds", "Threshold explorer"),
    Section(14, "other-tasks", "Numbers and several classes"),
    Section(15, "impossibility", "What cannot be had at once"),
    Section(16, "recommendation", "Recommendation and residual risk"),
    Section(17, "twin", "Document, method and attestation"),
)
