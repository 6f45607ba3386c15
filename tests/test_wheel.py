"""The wheel holds everything that the editable install finds in the source tree."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {"millrace": "platform", "assets": ".", "sensors": ".", "resources": ".", "jobs": "."}


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Files in the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    # the backend itself: no isolated environment, so nothing is downloaded
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.parametrize("package", PACKAGES)
def test_every_file_of_a_package_is_in_the_wheel(names: set[str], package: str) -> None:
    source = ROOT / PACKAGES[package]
    wanted = {
        path.relative_to(source).as_posix()
        for path in (source / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted - names == set()


@pytest.mark.parametrize(
    "path",
    [
        "definitions.py",
        "millrace/pages/templates/base.html",
        "millrace/contracts/schemas/bias-events.schema.json",
        "millrace/cli/main.py",
    ],
)
def test_what_is_not_python_but_needed_is_in_the_wheel(names: set[str], path: str) -> None:
    assert path in names


def test_nothing_else_is_installed_beside_the_packages(names: set[str]) -> None:
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} <= {
        *PACKAGES,
        "definitions.py",
        "dagster.yaml",
        "workspace.yaml",
        "warm_runs",
    }
