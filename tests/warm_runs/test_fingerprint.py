"""A change of any file that the code depends on is seen."""

from pathlib import Path

import pytest

from warm_runs import fingerprint


@pytest.mark.parametrize(
    "name", ["code.py", "deep/er/code.py", "settings.yaml", "model.sql", "target/manifest.json", ".env"]
)
def test_a_change_an_addition_and_a_removal_are_seen(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    before = fingerprint.take(tmp_path)
    path.write_text("one")
    assert fingerprint.changed(before, tmp_path) == str(path)
    before = fingerprint.take(tmp_path)
    assert fingerprint.changed(before, tmp_path) is None
    path.write_text("three")
    assert fingerprint.changed(before, tmp_path) == str(path)
    before = fingerprint.take(tmp_path)
    path.unlink()
    assert fingerprint.changed(before, tmp_path) == str(path)


def test_virtual_environments_caches_and_hidden_folders_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    before = fingerprint.take(tmp_path)
    for folder in ("env/lib", "__pycache__", ".hidden", "node_modules"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "code.py").write_text("")
    assert fingerprint.changed(before, tmp_path) is None


def test_modules_outside_the_folder_count_and_installed_ones_do_not(tmp_path: Path) -> None:
    import json

    outside = tmp_path / "outside.py"
    outside.write_text("")
    (tmp_path / "folder").mkdir()
    module = type("Module", (), {"__file__": str(outside)})
    stamps = fingerprint.take(tmp_path / "folder", [module, json])
    assert set(stamps) == {str(outside)}
