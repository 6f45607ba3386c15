"""What a verification found: two verdicts, integrity (nothing altered) and completeness (nothing missing)."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from millrace.contracts.errors import CannotReach, IntegrityBroken

What = Literal[
    "statement altered",
    "statement unreadable",
    "artifact altered",
    "artifact missing",
    "model altered",
    "model missing",
    "input differs",
    "record differs",
    "record missing",
    "history altered",
]

LIMITS = (
    "Hashes show that something was altered, not by whom. Statements are not signed yet: whoever can write to the "
    "database can replace a statement together with all that rests on it. Summaries and metrics kept for lists are "
    "not covered; the reports' documents and the model's files are."
)


@dataclass(frozen=True)
class Failure:
    """Something that is no longer what was recorded. `ref` names the broken node."""

    ref: str
    what: What
    part: str | None = None
    statement_id: int | None = None
    expected: str | None = None
    found: str | None = None

    def __str__(self) -> str:
        place = f"{self.ref} ({self.part})" if self.part else self.ref
        statement = f", statement {self.statement_id}" if self.statement_id is not None else ""
        hashes = f": expected {self.expected}, found {self.found}" if self.expected or self.found else ""
        return f"{place}: {self.what}{statement}{hashes}"


@dataclass(frozen=True)
class Gap:
    """Something that must be there and is not."""

    ref: str
    what: str

    def __str__(self) -> str:
        return f"{self.ref}: {self.what}"


@dataclass(frozen=True)
class Unchecked:
    """Something that could not be looked at."""

    ref: str
    why: str

    def __str__(self) -> str:
        return f"{self.ref}: not checked, {self.why}"


@dataclass(frozen=True)
class Checked:
    """How much was looked at."""

    nodes: int = 0
    statements: int = 0
    artifacts: int = 0
    models: int = 0
    pipelines: int = 0


@dataclass(frozen=True)
class Verification:
    """The outcome for one thing and all that it rests on, or for the whole warehouse (`ref` None)."""

    ref: str | None
    checked: Checked
    failures: tuple[Failure, ...] = ()
    gaps: tuple[Gap, ...] = ()
    unchecked: tuple[Unchecked, ...] = ()

    @property
    def integrity(self) -> Literal["intact", "broken", "not established"]:
        """Whether everything recorded is still what it was."""
        if self.failures:
            return "broken"
        return "not established" if self.unchecked else "intact"

    @property
    def completeness(self) -> Literal["complete", "incomplete"]:
        """Whether everything that must be recorded is there."""
        return "incomplete" if self.gaps else "complete"

    def require(self) -> None:
        """Passes only what is intact and complete.

        Raises:
            IntegrityBroken: something was altered or is missing; names the first node.
            CannotReach: nothing wrong was found, but something could not be looked at.
        """
        wrong: list[Failure | Gap] = [*self.failures, *self.gaps]
        if wrong:
            more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            raise IntegrityBroken(
                f"{wrong[0]}{more}",
                field=wrong[0].ref,
                remedy="restore what is named from a backup, or make it again and trust nothing that rests on it",
            )
        if self.unchecked:
            raise CannotReach(
                str(self.unchecked[0]), field=self.unchecked[0].ref, remedy="see `millrace status`, then verify again"
            )

    def to_json(self) -> dict[str, Any]:
        """The verification as `--json` prints it."""
        return {
            "ref": self.ref,
            "integrity": self.integrity,
            "completeness": self.completeness,
            "checked": asdict(self.checked),
            "failures": [asdict(one) for one in self.failures],
            "gaps": [asdict(one) for one in self.gaps],
            "unchecked": [asdict(one) for one in self.unchecked],
            "limits": LIMITS,
        }
