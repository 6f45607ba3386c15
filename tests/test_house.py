"""The rules of the house that no linter knows."""

import ast
import itertools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from millrace.settings import Settings

ROOT = Path(__file__).parent.parent
ROOMS = ("platform", "assets", "sensors", "resources", "jobs")
MOST_LINES = 300
HEAVY = {
    "pandas", "numpy", "scipy", "duckdb", "pyarrow", "sklearn", "lightgbm", "xgboost", "flaml", "fairlearn", "shap",
    "mlflow", "great_expectations", "matplotlib", "torch", "transformers", "peft", "pyspark", "dbt", "dagster_dbt",
    "dagster_k8s",
}  # fmt: skip


def _python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in sorted((ROOT / folder).rglob("*.py")) if "__pycache__" not in path.parts)


def _imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
    return found


def _imports_at_start(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = re.findall(r"^import time: +\d+ \| +\d+ \| +(\S+)$", done.stderr, flags=re.MULTILINE)
    assert lines, "the interpreter reported no imports"
    return {line.partition(".")[0] for line in lines}


def test_no_room_imports_a_room_above_it() -> None:
    done = subprocess.run([Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]


def test_nothing_imports_definitions() -> None:
    # import-linter takes no single module as a root
    assert [path for path in _python_files(*ROOMS) if "definitions" in _imported(path)] == []


def test_definitions_stay_short() -> None:
    assert len((ROOT / "definitions.py").read_text(encoding="utf-8").splitlines()) < 60


def test_a_long_file_says_why() -> None:
    unexplained = []
    for path in _python_files(*ROOMS, "tests", "benchmarks", "docs"):
        lines = path.read_text(encoding="utf-8").splitlines()
        top = "\n".join(lines[:20]).lower()
        if len(lines) > MOST_LINES and f"above {MOST_LINES} lines because" not in top:
            unexplained.append(f"{path.relative_to(ROOT)}: {len(lines)} lines")
    assert unexplained == []


def test_the_source_root_is_no_package() -> None:
    assert not (ROOT / "platform" / "__init__.py").exists(), "it would hide the standard library's platform"
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_no_module_of_the_engine_brings_a_heavy_library_when_imported() -> None:
    modules = [
        ".".join(path.relative_to(ROOT / "platform").with_suffix("").parts)
        for path in _python_files("platform/millrace")
        if path.name not in ("__init__.py", "__main__.py") and "versions" not in path.parts and path.stem != "env"
    ]
    assert len(modules) > 50
    code = "import importlib\n" + "\n".join(f"importlib.import_module({name!r})" for name in modules)
    assert _imports_at_start(code) & (HEAVY | {"dagster"}) == set()


def test_the_code_location_brings_no_heavy_library_when_loaded() -> None:
    assert _imports_at_start("import definitions") & HEAVY == set()


def test_every_setting_has_a_variable_and_a_sentence() -> None:
    tree = ast.parse((ROOT / "platform/millrace/settings.py").read_text(encoding="utf-8"))
    (body,) = [node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings"]
    sentences = {}
    for field, after in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            said = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and after.value.value
            sentences[field.target.id] = said
    for name, field_info in Settings.model_fields.items():
        assert field_info.alias or field_info.validation_alias, f"{name} has no environment variable"
        assert isinstance(sentences[name], str), f"{name} has no sentence"
        assert sentences[name].endswith(".") or sentences[name].endswith(")."), f"{name}: {sentences[name]!r}"


def test_the_workspace_and_dg_name_the_same_module() -> None:
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["dg"]["project"]
    named = set(re.findall(r"definitions\b", str(workspace)))
    assert named == {"definitions"}
    assert project["root_module"] == project["code_location_target_module"] == "definitions"


@pytest.mark.parametrize("name", ["LICENSE", "README.md", "CHANGELOG.md", "constraints.txt", "dagster.yaml"])
def test_the_files_that_everyone_looks_for_are_there(name: str) -> None:
    assert (ROOT / name).stat().st_size > 0


def test_make_help_explains_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    explained = {
        line.split()[1]: " ".join(line.split()[2:]) for line in shown.splitlines() if line.startswith("  make")
    }
    assert set(explained) == targets
    assert {"help", "install", "demo", "test", "up", "down", "bench", "lint"} <= targets


def test_make_with_a_python_that_is_too_old_says_what_to_do(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = subprocess.run(
        ["make", f"PYTHON={old}", f"VENV={tmp_path}/venv", "install"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "Python 3.11" in done.stdout
    assert not (tmp_path / "venv").exists()
