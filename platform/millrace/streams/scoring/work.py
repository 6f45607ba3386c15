"""A process of `score_events` put together from the settings and a scorer."""

from collections.abc import Callable, Mapping
from typing import Any

from millrace.contracts.scoring import Scorer
from millrace.kafka.stream_options import StreamOptions
from millrace.settings import Settings
from millrace.streams.names import group_of, topics_of
from millrace.streams.scoring.step import ScoringStep
from millrace.streams.work import StreamWork

STREAM = "score_events"


def scoring_work(
    settings: Settings,
    scorer: Scorer,
    *,
    slot: int,
    pinned: Mapping[str, Any] | None = None,
    scorer_of: Callable[[Mapping[str, Any]], Scorer] | None = None,
    follow: Callable[[], object] = lambda: None,
) -> StreamWork:
    """What the process with this slot does. `pinned` is what the scorer was made of; `scorer_of` makes the scorer of
    another model that is pinned meanwhile, and `follow` pins one where the choice says so."""
    topics = settings.topics
    step = ScoringStep(scorer, topic=topics.events_scored, ref=None if pinned is None else pinned.get("ref"))
    in_use = [pinned]

    def refresh(changed: Mapping[str, Any]) -> None:
        if scorer_of is not None:
            step.use(scorer_of(changed), ref=changed.get("ref"))
            in_use[0] = changed

    return StreamWork(
        options=StreamOptions(
            group=group_of(settings, STREAM),
            topics=topics_of(settings, STREAM),
            slot=slot,
            guarantee=settings.stream_guarantee,
            interval=settings.stream_interval_ms / 1000,
        ),
        step=step,
        refresh=refresh,
        pinned=lambda: in_use[0],
        follow=follow,
        topics=(topics.events_raw, topics.events_scored),
    )
