"""Values that a fitted model fills in where there are none: what one stage does and another one counts."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class FilledValues:
    """The missing cells of one column of some rows, and what a fitted model takes them for."""

    column: str
    value: Any
    """A number, a timestamp or a text."""
    shown: str
    """The value as people read it."""
    guessed: bool
    """False where missing becomes a value of its own, so that nothing is made up."""
    cells: "np.ndarray[Any, Any]"
    """Whether each row's cell was filled in, shape (rows,)."""
