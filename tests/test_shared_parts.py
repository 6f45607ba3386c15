"""What processes of a test run share is started once and ended with the run."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

_ASK = """
import importlib.util, pathlib, sys
spec = importlib.util.spec_from_file_location("shared_parts", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
parts = module.SharedParts(pathlib.Path(sys.argv[2]))
def start(folder):
    return {"pid": parts.run(["sleep", "600"], log=folder / "log").pid}
print(parts.get("sleeper", start)["pid"])
"""


@pytest.fixture
def parts(shared_parts: Any) -> Any:
    """Parts of a run of the test's own."""
    return type(shared_parts)()


def test_the_first_process_that_asks_starts_a_part_and_the_end_ends_it_and_no_other(parts: Any, tmp_path: Path) -> None:
    source = Path(__file__).with_name("shared_parts.py")
    asking = [
        subprocess.Popen([sys.executable, "-c", _ASK, source, parts.folder], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    told = {process.communicate(timeout=60)[0] for process in asking}
    (pid,) = map(int, told)
    assert psutil.Process(pid).name() == "sleep"
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as other:
        # another process that has got the number of one that ended is left alone
        record = json.dumps({"pid": other.pid, "created": 1.0, "stop": 9}) + "\n"
        started = parts.folder / "started"
        started.write_text(started.read_text() + record)
        parts.end()
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        assert other.poll() is None
        other.kill()
    assert not parts.folder.exists()


def test_a_start_that_fails_is_tried_again_by_who_asks_next(parts: Any) -> None:
    def fails(folder: Path) -> dict[str, Any]:
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        parts.get("it", fails)
    assert parts.get("it", lambda folder: {"there": folder.is_dir()}) == {"there": True}
    parts.end()
