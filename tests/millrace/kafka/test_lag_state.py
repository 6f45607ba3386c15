import pytest

from millrace.kafka.lag_state import LagSample, state_of, worst


def window(*pairs):
    return [LagSample(float(at), committed, records) for at, (committed, records) in enumerate(pairs)]


@pytest.mark.parametrize(
    ("pairs", "alive", "state"),
    [
        # zero lag at any time in the window
        ([(10, 5), (15, 0), (15, 9), (15, 12)], True, "OK"),
        # comes on, and the lag falls now and then
        ([(10, 50), (20, 60), (30, 40), (40, 45)], True, "OK"),
        # comes on, and the lag never falls
        ([(10, 50), (20, 50), (30, 60), (40, 75)], True, "WARN"),
        # does not come on
        ([(10, 5), (10, 6), (10, 7)], True, "STALLED"),
        ([(10, 5), (10, 6), (10, 7)], False, "STOPPED"),
        ([(None, 5), (None, 5), (None, 9)], True, "STALLED"),
        # went back, and has not come up again
        ([(10, 5), (20, 5), (12, 13), (15, 10)], True, "REWIND"),
        ([(10, 5), (8, 9), (20, 3)], True, "OK"),
        # says nothing yet
        ([(10, 5), (10, 6)], True, "OK"),
        ([], False, "OK"),
    ],
)
def test_the_state_follows_from_the_window(pairs, alive, state):
    assert state_of(window(*pairs), alive=alive) == state


def test_the_worst_is_told_first():
    assert worst(["OK", "WARN", "STALLED"]) == "STALLED"
    assert worst(["OK", "STOPPED", "REWIND"]) == "STOPPED"
    assert worst([]) == "OK"
