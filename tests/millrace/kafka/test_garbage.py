"""Cycles are looked for between batches, and as ever afterwards."""

import gc
import weakref

import pytest

from millrace.kafka import garbage
from millrace.kafka.garbage import Garbage


class Thing:
    """May refer to itself."""


def _cycle() -> "weakref.ref[Thing]":
    thing = Thing()
    thing.self = thing
    return weakref.ref(thing)


def test_a_cycle_is_freed_between_batches_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "EVERY_SECONDS", 0.0)
    with Garbage() as between:
        gone = _cycle()
        _ = [[] for _ in range(10_000)]
        assert gone() is not None
        between.between()
        assert gone() is None


def test_a_look_is_not_taken_before_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "EVERY_SECONDS", 60.0)
    with Garbage() as between:
        gone = _cycle()
        between.between()
        assert gone() is not None


@pytest.mark.parametrize("enabled", [True, False])
def test_python_does_afterwards_what_it_did_before(enabled: bool) -> None:
    was = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with pytest.raises(ZeroDivisionError), Garbage():
            _ = 1 / 0
        assert gc.isenabled() is enabled
        assert gc.get_freeze_count() == 0
    finally:
        (gc.enable if was else gc.disable)()
