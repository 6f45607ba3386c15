"""Whether a consumer is well, from a window of its lag and without thresholds: the rules of LinkedIn's Burrow.

Burrow looks at commits; here the samples are looks at the committed offset, and whether a process lives is given. A
stream of ours commits only when it has read something, so that an unchanged offset with a lag is either nobody there
(STOPPED) or somebody who does not come on (STALLED).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

LagState = Literal["OK", "WARN", "STALLED", "STOPPED", "REWIND"]
WORST_FIRST: tuple[LagState, ...] = ("STOPPED", "STALLED", "REWIND", "WARN", "OK")
FEWEST_SAMPLES = 3
"""A window with fewer says nothing, and is OK."""


@dataclass(frozen=True)
class LagSample:
    """One look at a partition: seconds since 1970, next offset to be read (None before a commit), records that wait."""

    at: float
    committed: int | None
    records: int


def state_of(window: Sequence[LagSample], *, alive: bool) -> LagState:
    """The state at the end of the window, oldest sample first; `alive`: a process of the group lives."""
    if len(window) < FEWEST_SAMPLES or any(one.records == 0 for one in window):
        return "OK"
    offsets = [-1 if one.committed is None else one.committed for one in window]
    if offsets[-1] < max(offsets):
        return "REWIND"
    if offsets[0] == offsets[-1]:
        return "STALLED" if alive else "STOPPED"
    if not any(after.records < before.records for before, after in pairwise(window)):
        return "WARN"
    return "OK"


def worst(states: Sequence[LagState]) -> LagState:
    """The state that an operator should hear of first; OK without any."""
    return next((state for state in WORST_FIRST if state in states), "OK")
