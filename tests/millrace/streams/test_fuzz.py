"""Ten thousand messages that are no events among good ones: each a dead letter with its cause, each good one scored."""

import itertools
import json
import random
from collections import Counter

import pytest
from confluent_kafka import Producer

from millrace.examples.events import generate_events
from millrace.kafka.clients import producer_config
from millrace.kafka.dead_letter_topics import dead_letter_topics, read_letters
from millrace.kafka.processor import Output
from millrace.kafka.replay import replay
from millrace.kafka.stream_loop import StreamLoop
from millrace.kafka.stream_options import StreamOptions
from millrace.streams.names import group_of
from millrace.streams.run import Rhythm, run_stream
from millrace.streams.scoring.work import scoring_work
from millrace.text.vader import VaderScorer

pytestmark = [pytest.mark.broker, pytest.mark.slow]

SEED = 20_261_127
BAD, GOOD = 10_000, 15_000
HUGE = 1_500_000
HUGE_COUNT = 5


def bad_message(draw, event):
    """Bytes that are no event, whatever the draw."""
    kind = draw.randrange(8)
    if kind == 0:
        return b"\xff" + draw.randbytes(draw.randrange(200))
    if kind == 1:
        # JSON of another shape
        return json.dumps(
            draw.choice([None, 1, "text", [], {}, [event], {"event": event}, {**event, "text": [1]}])
        ).encode()
    if kind == 2:
        depth = draw.randrange(200, 5_000)
        return b"[" * depth + b"]" * depth
    if kind == 3:
        return json.dumps(event).encode(draw.choice(["utf-16", "utf-32", "utf-16-be"]))
    if kind == 4:
        whole = json.dumps(event).encode()
        return whole[: draw.randrange(len(whole) - 1)]
    if kind == 5:
        return json.dumps({**event, "text": "x" * draw.randrange(20_001, 30_000)}).encode()
    if kind == 6:
        return json.dumps({**event, "ts": draw.choice(["", "soon", "2025-13-40", {}])}).encode()
    # latin-1 where UTF-8 is due
    return json.dumps({**event, "text": "café é"}, ensure_ascii=False).encode("latin-1")


@pytest.fixture
def sent(live):
    """Sends all, mixed; the ids of the good ones."""
    draw, good = random.Random(SEED), []
    events = generate_events(seed=SEED)
    messages = [("good", next(events)) for _ in range(GOOD)] + [("bad", next(events)) for _ in range(BAD)]
    draw.shuffle(messages)
    producer, huge = Producer(producer_config(live)), HUGE_COUNT
    for kind, message in messages:
        event = json.loads(message.value)
        value = message.value
        if kind == "bad":
            value = b'"' + b"x" * HUGE if huge else bad_message(draw, event)
            huge = max(0, huge - 1)
        else:
            good.append(event["event_id"])
        while True:
            try:
                producer.produce(live.events_topic, value, message.key)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0
    return good


class Watch:
    def __init__(self, records):
        self.records = records
        self.seen = 0

    def beat(self):
        return "all were read" if self.seen >= self.records else None

    def checkpoint(self, found):
        self.seen = found.totals.records


class Tolerant:
    """The step after a "fix": it takes everything."""

    def __init__(self, topic):
        self.topic = topic

    def process(self, batch):
        return [(Output(self.topic, str(len(record.value)).encode(), record.key),) for record in batch]


def test_every_bad_one_is_a_dead_letter_every_good_one_is_scored_and_a_replay_empties_it_once(live, sent, read):
    work = scoring_work(live, VaderScorer(), slot=0)
    ending = run_stream(live, work, Watch(GOOD + BAD), rhythm=Rhythm(beat=0.2, checkpoint=0.3, longest=120))
    assert (ending.totals.outputs, ending.totals.dead_letters) == (GOOD, BAD)
    scored = [json.loads(one.value())["event_id"] for one in read(live.scored_topic)]
    assert sorted(scored) == sorted(sent)

    letters = list(read_letters(live, dead_letter_topics(live, [live.events_topic])))
    assert len(letters) == len({letter.origin_id for letter in letters}) == BAD
    causes = Counter(letter.error for letter in letters)
    assert causes["too-large"] == HUGE_COUNT
    assert causes["bad-input"] == BAD - HUGE_COUNT
    assert all(letter.message.startswith("event") for letter in letters)

    topics = dead_letter_topics(live, [live.events_topic])
    done = replay(live, lambda: read_letters(live, topics), rate=1e9)
    assert (done.matched, done.sent) == (BAD, BAD)
    again = replay(live, lambda: read_letters(live, topics), rate=1e9)
    assert (again.sent, again.skipped) == (0, BAD)
    options = StreamOptions(group=group_of(live, "score_events"), topics=(live.events_topic,), interval=0.05)
    fixed = StreamLoop(live, options, Tolerant(live.scored_topic)).run(count=BAD, timeout=120)
    assert (fixed.outputs, fixed.dead_letters) == (BAD, 0)
    assert len(read(live.scored_topic)) == GOOD + BAD
    assert len(list(itertools.islice(read_letters(live, topics), BAD + 1))) == BAD
