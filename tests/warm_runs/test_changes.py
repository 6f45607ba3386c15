"""What is changed before a launch is what the run executes."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterRunStatus

from warm_runs.processes import identify

pytestmark = pytest.mark.slow


def _code(folder: Path, word: str) -> None:
    path = folder / "warm_location.py"
    path.write_text(path.read_text() + f"\nWORD = {word!r}\n")


def _yaml(folder: Path, word: str) -> None:
    (folder / "words.yaml").write_text(word)


def _manifest(folder: Path, word: str) -> None:
    (folder / "target" / "manifest.json").write_text(word)


def _dotenv(folder: Path, word: str) -> None:
    (folder / ".env").write_text(f"WARM_TEST_WORD={word}\n")


@pytest.mark.parametrize(
    ("change", "what"), [(_code, "code"), (_yaml, "yaml"), (_manifest, "manifest"), (_dotenv, "env")]
)
def test_what_was_changed_is_what_the_next_run_executes(
    warm: Any, change: Callable[[Path, str], None], what: str
) -> None:
    change(warm.code, f"other-{what}")
    told = warm.said(warm.launch("quick"))
    assert told[what] == f"other-{what}"
    # loaded before the fork, and not by a child that made up for a process that could not
    assert [one["error"] for one in warm.status()["preloaded"] if "warm_location" in one["code"]] == [None]


def test_broken_code_fails_the_run_with_its_cause_and_mended_code_runs(warm: Any) -> None:
    path = warm.code / "warm_location.py"
    original = path.read_text()
    path.write_text(original + "\nraise RuntimeError('planted fault')\n")
    try:
        broken = warm.launch("quick")
        assert warm.ends(broken) == DagsterRunStatus.FAILURE
    finally:
        path.write_text(original)
    assert "planted fault" in warm.messages(broken)
    mended = warm.launch("quick")
    assert warm.ends(mended) == DagsterRunStatus.SUCCESS


def test_code_that_ends_its_process_when_imported_fails_the_run_with_a_cause(warm: Any) -> None:
    run_id = warm.launch("quick", module="deadly_location")
    assert warm.ends(run_id) == DagsterRunStatus.FAILURE
    assert "No preloaded process could execute the run" in warm.messages(run_id)
    assert "ended with 3 while loading" in warm.messages(run_id)


def test_a_location_that_loads_slowly_keeps_no_other_waiting(warm: Any) -> None:
    waiting = [warm.launch("quick", module="slow_location") for _ in range(3)]
    assert warm.ends(warm.launch("quick")) == DagsterRunStatus.SUCCESS
    assert not any(warm.has_body(run_id) for run_id in waiting)
    # nor does what loads outlive a pool that is killed
    (loading,) = warm.loading_pids()
    warm.kill_pool()
    warm.wait_for(lambda: identify(loading) is None, "the end of the process that loads")
    warm.start_pool()
    warm.wait_for(lambda: len(warm.loading_pids()) == 1, "another process that loads")
    # nor is it the runs' failure that somebody kills the process that loads it
    for _ in range(3):
        (loading,) = warm.loading_pids()
        os.kill(loading, signal.SIGKILL)
        warm.wait_for(lambda killed=loading: _one_other(warm.loading_pids(), killed), "another try")
    (warm.folder / "out" / "go").touch()
    assert {warm.ends(run_id) for run_id in waiting} == {DagsterRunStatus.SUCCESS}


def test_code_that_changes_faster_than_it_loads_keeps_no_run_waiting(warm: Any) -> None:
    go, waits = warm.folder / "out" / "go once", warm.folder / "out" / "waits"
    try:
        first = warm.launch("quick", module="stepwise_location")
        warm.wait_for(waits.exists, "a process that loads")
        _yaml(warm.code, "edited while it loaded")
        go.touch()
        # its code was read after it was asked for, if not the last of it
        assert warm.ends(first) == DagsterRunStatus.SUCCESS
        warm.wait_for(waits.exists, "a process that loads the later code")
        second = warm.launch("quick", module="stepwise_location")
        # another location's run, asked for later, passes it
        assert warm.ends(warm.launch("quick")) == DagsterRunStatus.SUCCESS
        assert not warm.has_body(second)
        go.touch()
        assert warm.said(second)["yaml"] == "edited while it loaded"
    finally:
        # what still loads waits for a word that no other test gives
        warm.stop_pool()


def _one_other(pids: list[int], killed: int) -> bool:
    return len(pids) == 1 and pids != [killed]


def test_a_location_that_leaves_a_thread_runs_in_children_that_load_it(warm: Any) -> None:
    run_id = warm.launch("quick", module="threaded_location")
    assert warm.ends(run_id) == DagsterRunStatus.SUCCESS
    (bare,) = [one["bare"] for one in warm.status()["preloaded"] if "threaded_location" in one["code"]]
    assert bare


def test_only_the_modules_that_a_location_names_are_left_to_its_children_where_they_leave_a_thread(warm: Any) -> None:
    for module, named_before in (("warm_location", True), ("naming_location", False)):
        assert warm.ends(warm.launch("quick", module=module)) == DagsterRunStatus.SUCCESS
        (found,) = [one for one in warm.status()["preloaded"] if module in one["code"]]
        assert (found["bare"], found["more"]) == (False, named_before)


def test_a_run_whose_code_was_replaced_meanwhile_still_fails_with_the_signal_named(warm: Any) -> None:
    run_id = warm.launch("slow")
    pid, before = warm.said(run_id)["pid"], warm.preloaded_pid()
    path = warm.code / "warm_location.py"
    path.write_text(path.read_text() + "\n")
    warm.wait_for(lambda: warm.preloaded_pid() != before, "a process with the new code")
    os.kill(pid, signal.SIGKILL)
    assert warm.ends(run_id, seconds=3) == DagsterRunStatus.FAILURE
    assert "SIGKILL" in warm.messages(run_id)
    warm.wait_for(lambda: not os.path.exists(f"/proc/{before}"), "the end of the process with the old code")


def test_the_location_that_was_unused_for_longest_is_let_go(warm: Any) -> None:
    assert warm.ends(warm.launch("quick")) == DagsterRunStatus.SUCCESS
    for name in ("other_location", "another_location"):
        assert warm.ends(warm.launch("quick", module=name)) == DagsterRunStatus.SUCCESS
    loaded = sorted(word for one in warm.status()["preloaded"] for word in one["code"].split() if "_location" in word)
    assert loaded == ["another_location", "other_location"]
    assert warm.ends(warm.launch("quick")) == DagsterRunStatus.SUCCESS
    assert warm.preloaded_pid() > 0
