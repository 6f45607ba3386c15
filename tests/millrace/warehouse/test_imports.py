import importlib.util
import subprocess
import sys

CODE = """
import sys
from millrace.warehouse.imports import import_skops
import_skops()
print("skops.io" in sys.modules, "torch" in sys.modules)
import torch
"""


def test_skops_comes_without_torch_which_can_be_imported_afterwards():
    assert importlib.util.find_spec("torch") is not None
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.split()) == (0, ["True", "False"]), done.stderr
