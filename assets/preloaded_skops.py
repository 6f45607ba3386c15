"""skops, for who can only name the modules that are to be there before a run: imported as `import_skops` does it."""

from millrace.warehouse.imports import import_skops

import_skops()
