"""What a step prints goes to its file and, through a thread, where the process prints."""

import os
import select
import time
from pathlib import Path

import pytest
from dagster._core.execution import compute_logs

from warm_runs import mirror


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(compute_logs, "execute_posix_tail", compute_logs.execute_posix_tail)
    mirror.install()
    read, write = os.pipe()
    with os.fdopen(write, "w") as stream:
        yield stream, read, tmp_path / "step" / "out"
    os.close(read)


def test_what_is_written_is_shown_while_the_step_runs_and_all_of_it_in_the_end(captured):
    stream, read, path = captured
    with compute_logs.mirror_stream_to_file(stream, str(path)):
        print("first", file=stream, flush=True)
        assert select.select([read], [], [], 10)[0]
        assert os.read(read, 100) == b"first\n"
        print("last", file=stream, flush=True)
        # past Python's own streams, as a library does it
        os.write(stream.fileno(), b"raw\n")
    assert os.read(read, 100) == b"last\nraw\n"
    assert path.read_text() == "first\nlast\nraw\n"
    print("afterwards", file=stream, flush=True)
    assert os.read(read, 100) == b"afterwards\n"


def test_a_reader_that_does_not_read_holds_nobody_up(captured, monkeypatch):
    stream, _, path = captured
    monkeypatch.setattr(mirror, "LAST_SECONDS", 0.2)
    much = "x" * 1_000_000
    began = time.monotonic()
    with compute_logs.mirror_stream_to_file(stream, str(path)):
        print(much, file=stream, flush=True)
    assert time.monotonic() - began < 5
    assert len(path.read_text()) == len(much) + 1


def test_a_reader_that_has_gone_holds_nobody_up_either(tmp_path):
    read, write = os.pipe()
    os.close(read)
    path = tmp_path / "out"
    path.write_text("")
    with mirror.mirror(str(path), write), path.open("a") as file:
        file.write("kept")
    os.close(write)
    assert path.read_text() == "kept"
