"""Parts of Dagster that this package puts its own in the place of."""

from types import ModuleType
from typing import Any


def replace(owner: ModuleType | type, name: str, value: Any) -> None:
    """Puts `value` in the place of the owner's own.

    Raises:
        RuntimeError: this release of Dagster keeps it elsewhere.
    """
    if name not in vars(owner):
        raise RuntimeError(f"this release of Dagster has no {owner.__name__}.{name}")
    setattr(owner, name, value)
