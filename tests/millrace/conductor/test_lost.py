"""When an attempt counts as lost: a pure rule."""

import pytest

from millrace.conductor.lost import DEAD_SECONDS, NO_RUN_SECONDS, UNCLAIMED_SECONDS, lost_after_claim, lost_before_claim
from millrace.contracts.control import LiveRun


@pytest.mark.parametrize("status", ["QUEUED", "STARTING", "STARTED", "CANCELING"])
def test_a_trigger_with_a_live_run_is_not_lost_however_old(status: str):
    assert lost_before_claim(1e6, [LiveRun("r", status)]) is None
    assert lost_before_claim(1e6, [LiveRun("old", "FAILURE"), LiveRun("r", status)]) is None


def test_a_young_trigger_is_not_lost_whatever_became_of_it():
    assert lost_before_claim(UNCLAIMED_SECONDS - 1, [LiveRun("r", "FAILURE")]) is None


@pytest.mark.parametrize(("status", "transient"), [("FAILURE", True), ("CANCELED", False), ("SUCCESS", False)])
def test_a_trigger_whose_run_ended_without_a_claim_is_lost(status: str, transient: bool):
    lost = lost_before_claim(UNCLAIMED_SECONDS, [LiveRun("r", status)])
    assert lost is not None
    assert (lost.run_id, lost.error_class, lost.transient) == ("r", "RunEnded", transient)
    assert status in lost.message


def test_a_trigger_that_became_no_run_is_lost_in_the_end():
    assert lost_before_claim(NO_RUN_SECONDS - 1, []) is None
    lost = lost_before_claim(NO_RUN_SECONDS, [])
    assert lost is not None
    assert (lost.error_class, lost.transient) == ("TriggerLost", True)


@pytest.mark.parametrize(("status", "transient"), [("FAILURE", True), ("CANCELED", False), ("SUCCESS", False)])
def test_a_claimed_attempt_whose_run_has_ended_is_lost(status: str, transient: bool):
    lost = lost_after_claim("r", status, None)
    assert lost is not None
    assert (lost.error_class, lost.transient) == ("RunEnded", transient)


@pytest.mark.parametrize("status", [None, "STARTED", "CANCELING"])
def test_a_claimed_attempt_is_lost_when_its_process_is_gone_for_long_enough(status: str | None):
    assert lost_after_claim("r", status, None) is None
    assert lost_after_claim("r", status, DEAD_SECONDS - 1) is None
    lost = lost_after_claim("r", status, DEAD_SECONDS)
    assert lost is not None
    assert (lost.error_class, lost.transient) == ("ProcessDied", True)
