"""What the doctor says of one thing."""

from dataclasses import asdict, dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at: what was seen, and what to do about it unless all is well."""

    name: str
    level: Level
    seen: str
    remedy: str | None = None

    def to_json(self) -> dict[str, str | None]:
        """The facts for `--json`."""
        return asdict(self)


def ok(name: str, seen: str) -> Finding:
    """All is well."""
    return Finding(name, "ok", seen)


def warn(name: str, seen: str, remedy: str) -> Finding:
    """The platform works, and something should be done."""
    return Finding(name, "warn", seen, remedy)


def fail(name: str, seen: str, remedy: str) -> Finding:
    """The platform does not work until something is done."""
    return Finding(name, "fail", seen, remedy)
