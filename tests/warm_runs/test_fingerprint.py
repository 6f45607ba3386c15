"""A change of any file that the code depends on is seen."""

import json
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
    assert before.changed(tmp_path) == str(path)
    before = fingerprint.take(tmp_path)
    assert before.changed(tmp_path) is None
    path.write_text("three")
    assert before.changed(tmp_path) == str(path)
    before = fingerprint.take(tmp_path)
    path.unlink()
    assert before.changed(tmp_path) == str(path)


def test_virtual_environments_caches_and_hidden_folders_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    before = fingerprint.take(tmp_path)
    for folder in ("env/lib", "__pycache__", ".hidden", "node_modules"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "code.py").write_text("")
    assert before.changed(tmp_path) is None


def test_modules_outside_the_folder_count_and_installed_ones_do_not(tmp_path: Path) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text("")
    (tmp_path / "folder").mkdir()
    module = type("Module", (), {"__file__": str(outside)})
    stamps = fingerprint.take(tmp_path / "folder", [module, json])
    assert set(stamps.stamps) == {str(outside)}


def test_a_folder_that_is_too_large_says_so_and_what_is_known_of_it_is_still_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprint, "LARGEST_WALK", 2)
    for number in range(4):
        (tmp_path / f"{number}.py").write_text("")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "code.py").write_text("")
    before = fingerprint.Fingerprint.from_json(json.loads(json.dumps(fingerprint.take(tmp_path).to_json())))
    assert not before.complete
    assert before.changed(tmp_path) is None
    (tmp_path / "0.py").write_text("changed")
    assert before.changed(tmp_path) == str(tmp_path / "0.py")
