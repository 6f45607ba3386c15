"""The live page on a real server, a real broker and in a real browser."""

import json
import time
import uuid

import httpx
import pytest
from confluent_kafka import Producer

from millrace.kafka.topics import create_topics

HOSTILE = "<img src=x onerror=\"document.title='taken'\"> </script><script>document.title='taken'</script>"


@pytest.fixture
def stream(broker_settings, served):
    """A served API on topics of its own, and `put(count, text)` that sends scored events."""
    mark = uuid.uuid4().hex[:8]
    names = {"MILLRACE_EVENTS_TOPIC": f"raw-{mark}", "MILLRACE_SCORED_TOPIC": f"out-{mark}"}
    create_topics(broker_settings, names.values())
    api = served(MILLRACE_MODE="KAFKA", KAFKA_BOOTSTRAP=broker_settings.bootstrap, MILLRACE_STREAM_PREFIX=mark, **names)
    producer = Producer({"bootstrap.servers": broker_settings.bootstrap, "log_level": 0})

    def put(count, text="This is good", *, start=0):
        for number in range(start, start + count):
            event = {
                "event_id": f"e{number}", "ts": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "user_id": "7",
                "channel": ("web", "ios")[number % 2], "lang": "en", "text": text,
                "sentiment": ("POSITIVE", "NEGATIVE", "NEUTRAL")[number % 3], "sentiment_score": 0.9,
                "ai_model": "vader", "ai_ts": "2026-01-01T00:00:01Z", "label_scores": {}, "score_kind": "proportion",
                "model_version": "1", "source": {"topic": "t", "topic_id": "i", "partition": 0, "offset": number},
            }  # fmt: skip
            producer.produce(f"out-{mark}", json.dumps(event), "7")
        producer.produce(f"out-{mark}", b"no scored event")
        assert producer.flush(10) == 0

    return api, put


class Viewer:
    """Reads server-sent events and counts as the page does."""

    def __init__(self, url):
        self.url = url
        self.known = None
        self.counts = {}
        self.kinds = []

    def until(self, total):
        headers = {} if self.known is None else {"Last-Event-ID": self.known}
        with httpx.stream("GET", f"{self.url}/streams/score_events/live", headers=headers, timeout=20) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            kind = ""
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "id":
                    self.known = value
                elif name == "event":
                    kind = value
                    self.kinds.append(kind)
                    self.counts = {} if kind == "whole" else self.counts
                elif name == "data":
                    for second, sentiment, channel, count in json.loads(value)["counts"]:
                        key = (second, sentiment, channel)
                        self.counts[key] = self.counts.get(key, 0) + count
                    if sum(self.counts.values()) >= total:
                        return


@pytest.mark.broker
def test_a_viewer_that_comes_back_has_no_gap_and_nothing_twice(stream):
    api, put = stream
    put(30)
    viewer = Viewer(api.url)
    viewer.until(30)
    put(40, start=30)
    time.sleep(1)
    put(30, start=70)
    viewer.until(100)
    assert sum(viewer.counts.values()) == 100
    assert viewer.kinds.count("whole") == 1
    by_sentiment = {}
    for (_, sentiment, _), count in viewer.counts.items():
        by_sentiment[sentiment] = by_sentiment.get(sentiment, 0) + count
    assert by_sentiment == {"POSITIVE": 34, "NEGATIVE": 33, "NEUTRAL": 33}


@pytest.mark.broker
def test_the_status_is_told_with_lag_and_state(stream):
    api, _ = stream
    told = httpx.get(f"{api.url}/streams/score_events/status", timeout=20).json()
    assert (told["stream"], told["wanted"], told["lag_records"]) == ("score_events", 0, 0)


@pytest.mark.broker
@pytest.mark.chromium
def test_the_page_shows_what_was_scored_and_runs_no_script_of_a_message(stream, browse):
    api, put = stream
    put(60)
    put(3, HOSTILE, start=60)
    browser = browse(f"{api.url}/ui/streams")
    deadline = time.monotonic() + 20
    while browser.value("document.getElementById('total').textContent") != "63":
        assert time.monotonic() < deadline, browser.value("document.body.innerText")
        time.sleep(0.1)
    page = browser.value("document.documentElement.outerHTML")
    assert browser.picture().startswith(b"\x89PNG")
    assert "positive 21" in page
    assert "negative 21" in page
    assert page.count("<rect") >= 8
    assert "&lt;img src=x onerror" in page
    assert "<title>Scored events, live · Millrace</title>" in page
    assert '<span class="muted" id="connection">live</span>' in page


@pytest.mark.broker
@pytest.mark.chromium
def test_on_a_narrow_screen_the_newest_bars_and_every_count_are_in_sight(stream, browse):
    api, put = stream
    put(60)
    browser = browse("about:blank")
    browser.call("Emulation.setDeviceMetricsOverride", width=400, height=900, deviceScaleFactor=1, mobile=True)
    browser.call("Page.navigate", url=f"{api.url}/ui/streams")
    deadline = time.monotonic() + 20
    while browser.value("(document.getElementById('total') || {}).textContent") != "60":
        assert time.monotonic() < deadline, browser.value("document.body.innerText")
        time.sleep(0.1)
    frame = "document.getElementById('time').parentNode"
    assert browser.value(f"{frame}.scrollWidth > {frame}.clientWidth"), "the chart fits: nothing is tested here"
    right = "Math.max(...[...document.querySelectorAll('#time rect')].map((bar) => bar.getBoundingClientRect().right))"
    assert browser.value(f"{right} <= {frame}.getBoundingClientRect().right + 1")
    assert browser.value("document.documentElement.scrollWidth") <= 400
    assert browser.value("document.getElementById('channels').textContent").count("30") == 2


def test_without_a_broker_the_page_says_so(served):
    api = served()
    with httpx.stream("GET", f"{api.url}/streams/score_events/live", timeout=40) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: ") and "trouble" in json.loads(line[6:])["status"]:
                break
