"""What is imported before runs are forked."""

import subprocess
import sys

CHECK = """
import importlib, os, sys
import definitions
for name in definitions.WARM_RUNS_PRELOAD:
    importlib.import_module(name)
heavy = {"numpy", "pandas", "pyarrow", "duckdb", "sklearn", "scipy", "mlflow", "shap", "flaml", "torch", "matplotlib"}
print(len(os.listdir("/proc/self/task")), sorted(heavy & sys.modules.keys()))
"""


def test_what_is_named_is_light():
    done = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1 []"
