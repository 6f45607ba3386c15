"""A location whose import leaves a thread behind, so that it cannot be loaded before a fork."""

import threading

from warm_location import defs

threading.Thread(target=threading.Event().wait, daemon=True).start()

__all__ = ["defs"]
