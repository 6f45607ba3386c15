"""One more location."""

from warm_location import defs

__all__ = ["defs"]
