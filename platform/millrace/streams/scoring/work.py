"""A process of `score_events` put together from the settings and a scorer."""

from millrace.contracts.scoring import Scorer
from millrace.kafka.stream_options import StreamOptions
from millrace.settings import Settings
from millrace.streams.names import group_of, topics_of
from millrace.streams.scoring.step import ScoringStep
from millrace.streams.work import StreamWork

STREAM = "score_events"


def scoring_work(settings: Settings, scorer: Scorer, *, slot: int) -> StreamWork:
    """What the process with this slot does."""
    topics = settings.topics
    return StreamWork(
        options=StreamOptions(
            group=group_of(settings, STREAM),
            topics=topics_of(settings, STREAM),
            slot=slot,
            guarantee=settings.stream_guarantee,
            interval=settings.stream_interval_ms / 1000,
        ),
        step=ScoringStep(scorer, topic=topics.events_scored),
        topics=(topics.events_raw, topics.events_scored),
    )
