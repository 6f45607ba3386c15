"""A table as a binary classifier learns it: what one stage encodes and another one trains on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class EncodedRows:
    """Rows with a target, divided and encoded. `make` gives an unfitted classifier of scikit-learn's kind."""

    train: "Array"
    """Positions of the rows in the table."""
    test: "Array"
    train_matrix: "Array"
    """float64, shape (rows, columns)."""
    test_matrix: "Array"
    train_label: "Array"
    """Class of each row, 0 or 1, a position in `classes`."""
    test_label: "Array"
    classes: tuple[str, str]
    """The target's two values as text."""
    columns: dict[str, tuple[int, ...]]
    """Column of the table → its columns in the matrix; without those that the classifier does not read."""
    make: Callable[[], Any]
