"""What an op of the location imports in its function, and the location names to be imported before."""

import os

IMPORTED_BY = os.getpid()
