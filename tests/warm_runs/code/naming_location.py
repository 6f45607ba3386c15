"""A location that is loaded without a thread, but names a module that leaves one."""

from warm_location import defs

WARM_RUNS_PRELOAD = ("threaded_words",)

__all__ = ["defs"]
