"""Synthetic user events: what people write about an app, as the topic events.raw has it, with bad ones among them."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from millrace.contracts.events import now
from millrace.contracts.scoring import moment_text

CHANNELS = ("web", "ios", "android", "email", "chat")
USERS = 500
_SUBJECTS = ("This app", "The new version", "Your support team", "The checkout", "The search", "Delivery", "The price",
             "The login page", "The documentation", "My last order", "The dark mode", "The update")  # fmt: skip
_GOOD = ("is fantastic", "works great", "saved me hours", "is a joy to use", "was quick and friendly", "is worth it",
         "exceeded my expectations", "is better than ever", "makes me happy every day")  # fmt: skip
_BAD = ("is terrible", "keeps crashing", "wasted my whole morning", "is a disaster", "was rude and useless",
        "is far too expensive", "broke everything again", "is the worst I have seen", "makes me angry")  # fmt: skip
_PLAIN = ("changed on Monday", "has three pages", "is in the menu on the left", "sends a mail every week",
          "asks for a number", "opens in a new window", "comes in two colours")  # fmt: skip
_ENDS = (".", "!", ".", " :)", "!!", "...", ". Just saying.", " 😀", ", to be honest.")
_MORE = ("I told my colleagues about it", "I have used it since spring", "We are a team of twelve", "It was on sale",
         "I will write again next week", "My sister has the same one")  # fmt: skip
BAD_KINDS = ("not_utf8", "cut_off", "no_text", "wrong_type", "no_object", "too_long", "too_deep", "empty", "bad_time")


@dataclass(frozen=True)
class Message:
    """A message of the topic; `bad` names what is wrong with it, None for an event."""

    key: str
    value: bytes
    bad: str | None = None


def generate_events(*, seed: int, bad_share: float = 0.0, clock: Callable[[], datetime] = now) -> Iterator[Message]:
    """Messages without end, the same for the same seed but for their times; about `bad_share` of them are no events."""
    draw = random.Random(seed)
    while True:
        event = _event(draw, clock())
        kind = draw.choice(BAD_KINDS) if draw.random() < bad_share else None
        value = json.dumps(event, ensure_ascii=False).encode("utf-8") if kind is None else _spoiled(event, kind, draw)
        yield Message(str(event["user_id"]), value, kind)


def _event(draw: random.Random, at: datetime) -> dict[str, object]:
    # most texts are good or bad, as reviews are; a third says nothing either way
    saying = draw.choice(draw.choices((_GOOD, _BAD, _PLAIN), weights=(4, 3, 3))[0])
    text = f"{draw.choice(_SUBJECTS)} {saying}{draw.choice(_ENDS)}"
    if draw.random() < 0.3:
        text += f" {draw.choice(_MORE)}{draw.choice(_ENDS)}"
    return {
        "event_id": f"{draw.getrandbits(64):016x}",
        "ts": moment_text(at),
        # a few users write most of it
        "user_id": str(min(USERS, int(draw.paretovariate(0.8)))),
        "channel": draw.choice(CHANNELS),
        "lang": "en",
        "text": text,
    }


def _spoiled(event: dict[str, object], kind: str, draw: random.Random) -> bytes:
    whole = json.dumps(event, ensure_ascii=False).encode("utf-8")
    if kind == "not_utf8":
        return b"\xff\xfe" + draw.randbytes(40)
    if kind == "cut_off":
        return whole[: draw.randrange(1, len(whole) - 1)].rstrip(b"}")
    if kind == "no_object":
        return b'["a", "list"]'
    if kind == "too_deep":
        return b'{"text":' * 3_000 + b"1" + b"}" * 3_000
    if kind == "empty":
        return b""
    changed: dict[str, dict[str, object]] = {
        "no_text": {"text": None},
        "wrong_type": {"event_id": {"id": 1}},
        "too_long": {"text": "very long " * 3_000},
        "bad_time": {"ts": "yesterday at noon"},
    }
    return json.dumps({**event, **changed[kind]}).encode("utf-8")
