"""`millrace stream produce`: synthetic events to the topic that score_events reads."""

import random
import signal
import threading
from typing import Annotated

import typer

from millrace.cli.output import INTERRUPTED, Json, console, emit, guarded


@guarded
def produce(
    count: Annotated[int | None, typer.Option(help="Events to send (default: until Ctrl-C).")] = None,
    rate: Annotated[float, typer.Option(help="Events a second; 0 is as many as go.")] = 50.0,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same events, but for their times.")] = None,
    bad: Annotated[float, typer.Option(help="Share of messages that are no events, 0 to 1.")] = 0.0,
    as_json: Json = False,
) -> None:
    """Send synthetic user events to events.raw, each acknowledged by the broker."""
    from millrace.contracts.errors import BadInput
    from millrace.examples.events import generate_events
    from millrace.kafka.topics import create_topics
    from millrace.settings import load
    from millrace.streams.producing import produce as send

    if not 0 <= bad <= 1:
        raise BadInput(f"a share of {bad}", field="bad", remedy="give a share between 0 and 1")
    settings, stop = load(), threading.Event()
    topic = settings.topics.events_raw
    create_topics(settings, settings.topics.all())
    seed = random.randrange(2**31) if seed is None else seed
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    done = send(settings, topic, generate_events(seed=seed, bad_share=bad), rate=rate or None, count=count, stop=stop)
    if as_json:
        emit({"topic": topic, "seed": seed, "good": done.good, "bad": done.bad, "seconds": done.seconds})
    else:
        words = f" and {done.count - done.good} bad messages" if done.bad else ""
        console().print(f"{done.good} events{words} sent to {topic} in {done.seconds:.1f} s, seed {seed}")
    if stop.is_set() and count is not None:
        raise typer.Exit(INTERRUPTED)
