"""The broker's classes are laid out once for a Java runtime, and mapped by each start."""

import os
from pathlib import Path

import pytest

from millrace.contracts.errors import CannotReach
from millrace.kafka import class_archive as module
from millrace.kafka.class_archive import class_archive
from millrace.kafka.jars import Jars, broker_jars, cache_folder
from millrace.kafka.java import Java, find_java
from millrace.settings import Settings


@pytest.fixture
def jars(tmp_path: Path) -> Jars:
    return Jars(tmp_path / "kafka-1", ("one.jar",))


@pytest.fixture
def java(tmp_path: Path) -> Java:
    program = tmp_path / "java"
    program.write_text(f"#!/bin/sh\necho asked >> {tmp_path / 'calls'}\necho no room >&2\nexit 1\n")
    program.chmod(0o755)
    return Java(program, 17, "PATH")


@pytest.mark.broker
def test_a_running_broker_maps_the_archive(broker_settings: Settings, process_on) -> None:
    archive = class_archive(cache_folder(broker_settings), find_java(), broker_jars(broker_settings))
    assert archive is not None
    assert str(archive) in {one.path for one in process_on(broker_settings.kafka_port).memory_maps()}


def test_a_folder_that_cannot_be_written_costs_the_archive_and_is_not_remembered(tmp_path, java, jars, caplog) -> None:
    cache = tmp_path / "cache"
    assert class_archive(cache, java, jars) is None
    assert "No such file" in caplog.text
    cache.mkdir()
    assert class_archive(cache, java, jars) is None
    assert "no room" in caplog.text


def test_a_runtime_that_makes_none_is_asked_once(tmp_path, java, jars, caplog) -> None:
    for _ in range(2):
        caplog.clear()
        assert class_archive(tmp_path, java, jars) is None
        assert "no room" in caplog.text
    assert (tmp_path / "calls").read_text() == "asked\n"


def test_what_is_not_as_it_was_made_is_made_anew(tmp_path, java, jars, monkeypatch) -> None:
    made = []

    def make(archive: Path, *_: object) -> None:
        made.append(archive)
        archive.write_bytes(b"classes")
        archive.with_suffix(".sha256").write_text(module.sha256_of(archive))

    monkeypatch.setattr(module, "_make", make)
    monkeypatch.setattr(module, "_hashed", set())
    first = class_archive(tmp_path, java, jars)
    assert first is not None
    assert class_archive(tmp_path, java, jars) == first
    assert len(made) == 1
    # as another process finds it
    module._hashed.clear()
    assert class_archive(tmp_path, java, jars) == first
    assert len(made) == 1
    module._hashed.clear()
    first.write_bytes(b"class")
    assert class_archive(tmp_path, java, jars) == first
    assert len(made) == 2
    assert first.read_bytes() == b"classes"


def test_another_runtime_or_other_jars_have_an_archive_of_their_own(java, jars) -> None:
    before = module._identity(java, jars)
    assert module._identity(java, Jars(jars.folder, ("other.jar",))) != before
    os.utime(java.path, ns=(0, 0))
    assert module._identity(java, jars) != before


def test_half_an_archive_is_not_left(tmp_path, java, jars, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise CannotReach("no")

    monkeypatch.setattr(module, "_list_classes", refuse)
    assert class_archive(tmp_path, java, jars) is None
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".jsa" or path.is_dir()]
