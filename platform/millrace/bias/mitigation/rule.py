"""What a policy asks to be tried by itself on a model that does not pass."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from millrace.bias.mitigation.names import METHODS, Constraint, Kept, Method
from millrace.contracts.stages import Verdict

When = Literal["fail", "not-pass"]


class MitigationRule(BaseModel):
    """When methods are tried, which ones, on what, and whose model is registered as the candidate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    when: When = "fail"
    """`fail`: a verdict of the model's bias report fails. `not-pass`: any is something else than pass."""
    methods: tuple[Method, ...] = Field(METHODS, min_length=1)
    aim: Constraint = "demographic-parity"
    attributes: tuple[Annotated[str, Field(min_length=1, max_length=1024)], ...] = ()
    """Sensitive columns to treat, several are crossed; empty: the one with the worst verdict."""
    candidate: Literal["recommended", "none"] | Kept = "recommended"
    source: str = Field(min_length=10)
    """Why this is asked, in words."""

    @model_validator(mode="after")
    def _candidate_is_tried(self) -> Self:
        if self.candidate not in ("recommended", "none", *self.methods):
            raise ValueError(f"candidate {self.candidate} is not among the methods")
        return self

    def asks(self, verdict: Verdict | None) -> bool:
        """Whether a report of that verdict is to be followed by a mitigation; None has nothing to treat."""
        return verdict == "fail" if self.when == "fail" else verdict not in ("pass", None)
