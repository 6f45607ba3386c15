"""The names of methods and aims."""

from typing import Literal

Kept = Literal["reweighing", "correlation-remover", "exponentiated-gradient"]
"""Methods whose model can be registered."""
Method = Kept | Literal["threshold-optimizer"]
METHODS: tuple[Method, ...] = (
    "reweighing",
    "correlation-remover",
    "exponentiated-gradient",
    "threshold-optimizer",
)
Constraint = Literal["demographic-parity", "equalized-odds"]
