import pytest

from millrace.settings import Settings
from millrace.streams.documents.audit import AuditTrail, anchor_path, trail_path
from millrace.streams.documents.chat import Exchange


@pytest.fixture
def trail(tmp_path, monkeypatch):
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path))
    settings = Settings()
    with AuditTrail(trail_path(settings), anchor_path(settings)) as one:
        for number in range(3):
            one.add(Exchange(f"docs/0/{number}", "a" * 64, None, None, "[bold]llm-deadline", 1.0))
        one.seal()
    return trail_path(settings)


def test_verify_says_intact_and_what_it_cannot_show(millrace, trail):
    done = millrace("llm", "verify")
    assert done.code == 0
    assert "3 entries" in done.out
    assert "intact" in done.out
    assert "--head" in done.out
    told = millrace("llm", "verify", "--json")
    assert (told.code, told.last["intact"], told.last["entries"]) == (0, True, 3)
    assert millrace("llm", "verify", "--head", told.last["head"]).code == 0


@pytest.mark.parametrize("how", ["byte", "entry", "tail"])
def test_a_broken_trail_is_exit_code_6(millrace, trail, how):
    data = trail.read_bytes()
    lines = data.splitlines(keepends=True)
    broken = {"byte": data.replace(b"docs/0/1", b"docs/0/7"), "entry": lines[0] + lines[2], "tail": lines[0]}
    trail.write_bytes(broken[how])
    assert millrace("llm", "verify").code == 6
    assert millrace("llm", "verify", "--json").last["intact"] is False


def test_without_a_trail_and_with_a_wrong_head_the_input_is_at_fault(millrace, trail, tmp_path, monkeypatch):
    assert millrace("llm", "verify", "--head", "7").code == 2
    assert millrace("llm", "verify", "--head", "2:" + "a" * 64).code == 6
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path / "other"))
    assert millrace("llm", "verify").code == 2
