"""What is imported before runs are forked."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from millrace.settings import Settings
from millrace.stack.programs import programs

CHECK = """
import importlib, os, sys
import definitions
for name in definitions.WARM_RUNS_PRELOAD:
    importlib.import_module(name)
heavy = {"shap", "flaml", "torch", "great_expectations", "matplotlib", "transformers"}
print(len(os.listdir("/proc/self/task")), sorted(heavy & sys.modules.keys()))
"""


def test_what_is_named_leaves_no_thread_and_brings_nothing_that_one_stage_alone_needs(
    tmp_path: Path, make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    # with threads, as a user has them: the tests' own libraries are held to one
    for name in [name for name in os.environ if name.startswith(("OMP_", "OPENBLAS_", "JE_ARROW_"))]:
        monkeypatch.delenv(name)
    (pool,) = [one for one in programs(make_settings(tmp_path), broker=None) if one.name == "runs"]
    environment = os.environ | pool.environment
    done = subprocess.run([sys.executable, "-c", CHECK], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1 []"
