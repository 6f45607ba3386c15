"""A location whose import says that it waits, and ends when the test says so, each time anew."""

import os
import time
from pathlib import Path

from warm_location import defs

OUT = Path(os.environ["WARM_TEST_OUT"])
(OUT / "waits").touch()
while not (OUT / "go once").exists():
    time.sleep(0.02)
(OUT / "waits").unlink()
(OUT / "go once").unlink()

__all__ = ["defs"]
