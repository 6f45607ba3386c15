"""Libraries imported without what they do not need: it costs seconds and memory in each run that imports them."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder


class _Absent(MetaPathFinder):
    def __init__(self, packages: tuple[str, ...]) -> None:
        self._packages = packages

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        if fullname in self._packages:
            raise ModuleNotFoundError(f"{fullname} is out of sight for a moment", name=fullname)


@contextmanager
def out_of_sight(*packages: str) -> Iterator[None]:
    """Within it the packages cannot be imported, as if they were not installed; afterwards all is as it was before."""
    # None in a package's place would do for imports, but scipy asks whatever stands there for its attributes
    before = {name: sys.modules.pop(name) for name in packages if name in sys.modules}
    absent = _Absent(packages)
    sys.meta_path.insert(0, absent)
    try:
        yield
    finally:
        sys.meta_path.remove(absent)
        sys.modules.update(before)


def import_skops() -> None:
    """What MLflow's scikit-learn flavour reads and writes our models with, in a third of the time.

    skops 0.16 imports every module of scikit-learn to know its estimators (skops/io/_trusted_types.py), and one of them
    (sklearn/externals/array_api_compat/torch) imports torch wherever that is installed: 500 MB that no model of ours
    uses.
    """
    if "skops.io" not in sys.modules:
        with out_of_sight("torch"):
            importlib.import_module("skops.io")
