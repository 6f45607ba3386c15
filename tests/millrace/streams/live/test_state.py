import json

from hypothesis import given
from hypothesis import strategies as st

from millrace.streams.live.state import LAST_MESSAGES, MOST_NAMES, STEPS, WINDOW_SECONDS, LiveState, Seen

NOW = 1_800_000_000.0


def seen(number=0, *, at=NOW, **changes):
    facts = {
        "latency": 0.5, "event_id": f"e{number}", "user_id": "u", "channel": "web", "text": "t",
        "sentiment": "POSITIVE", "score": 0.9, "model": "m",
    }  # fmt: skip
    return Seen(at=at, **facts | changes)


class Viewer:
    """What the page does with what it is sent."""

    def __init__(self):
        self.known = None
        self.counts = {}
        self.last = []
        self.kinds = []

    def look(self, state):
        for name, kind, data in state.since(self.known):
            data = json.loads(json.dumps(data))
            self.known = name
            self.kinds.append(kind)
            if kind == "whole":
                self.counts, self.last = {}, []
            for second, sentiment, channel, count in data["counts"]:
                key = (second, sentiment, channel)
                self.counts[key] = self.counts.get(key, 0) + count
            self.last = (self.last + data["last"])[-LAST_MESSAGES:]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), max_size=30), st.sets(st.integers(0, 29)))
def test_a_viewer_that_comes_back_at_any_moment_has_seen_all(steps, looks):
    state, viewer, sent = LiveState(), Viewer(), 0
    for number, (count, later) in enumerate(steps):
        state.add([seen(sent + n, at=NOW + number + later, channel=f"c{n % 3}") for n in range(count)])
        sent += count
        if number in looks:
            viewer.look(state)
    viewer.look(state)
    fresh = Viewer()
    fresh.look(state)
    assert viewer.counts == fresh.counts
    assert sum(viewer.counts.values()) == sent
    assert viewer.last == fresh.last
    assert "whole" not in viewer.kinds[1:]


def test_who_missed_too_much_or_knows_another_state_is_sent_everything():
    state = LiveState()
    known = state.since(None)[0][0]
    for number in range(STEPS + 1):
        state.add([seen(number)])
    for strange in (known, "other-1", f"{state.epoch}-{state.step + 5}", f"{state.epoch}-", "", "x" * 500, "--1"):
        ((_, kind, data),) = state.since(strange)
        assert kind == "whole"
        assert sum(count for *_, count in data["counts"]) == STEPS + 1


def test_what_is_older_than_the_window_is_forgotten():
    state = LiveState()
    state.add([seen(1, at=NOW)])
    state.add([seen(2, at=NOW + WINDOW_SECONDS + 1)])
    assert [count[0] for count in state.whole()["counts"]] == [int(NOW + WINDOW_SECONDS + 1)]
    assert state.whole()["total"] == 2


def test_who_invents_channels_and_labels_gets_one_name_for_the_rest():
    state = LiveState()
    state.add([seen(n, channel=f"c{n}", sentiment=f"L{n}") for n in range(100)])
    names = {(sentiment, channel) for _, sentiment, channel, _ in state.whole()["counts"]}
    assert len(names) == MOST_NAMES + 1
    assert ("other", "other") in names


def test_a_status_alone_is_a_step_when_it_is_new():
    state = LiveState()
    state.add([], status={"state": "OK"})
    state.add([], status={"state": "OK"})
    state.add([])
    assert state.step == 1
    assert state.whole()["status"] == {"state": "OK"}


def test_a_long_text_is_cut():
    state = LiveState()
    state.add([seen(text="x" * 20_000)])
    assert len(state.whole()["last"][0]["text"]) < 300
