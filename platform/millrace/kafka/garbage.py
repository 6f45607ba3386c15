"""Cyclic garbage of a loop, looked for between its batches instead of in the middle of them."""

import gc
import time
from typing import Self

EVERY_SECONDS = 1.0
"""Between two looks; each takes milliseconds, because what was there before the loop is left out."""


class Garbage:
    """A context in which Python looks for cycles only when `between` is called, for the whole process.

    Python looks for cycles whenever some hundreds more objects were made than freed. A batch makes tens of thousands
    that are all in use: the looks find nothing and take half of the loop's time. References that form no cycle are
    freed at once as ever.
    """

    def __enter__(self) -> Self:
        self._was_enabled = gc.isenabled()
        gc.disable()
        # what the process has made before is left out until the loop ends, cycles that nobody needs among it
        gc.freeze()
        self._last = time.monotonic()
        return self

    def between(self) -> None:
        """Looks for cycles when the last look is `EVERY_SECONDS` ago."""
        now = time.monotonic()
        if now - self._last >= EVERY_SECONDS:
            gc.collect()
            self._last = now

    def __exit__(self, *_: object) -> None:
        gc.unfreeze()
        if self._was_enabled:
            gc.enable()
