"""What is imported before runs are forked."""

import os
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
    # with threads, as a user has them: the tests' own libraries are held to one
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "OPENBLAS_"))}
    done = subprocess.run([sys.executable, "-c", CHECK], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1 []"
