"""The jobs of streams. Another stream is one more entry here, in `millrace.streams.names` and in assets/streams.py."""

from typing import TYPE_CHECKING

from assets.streams import EVENTS_SCORED, LLM_RESULTS
from jobs.stream_job import StreamJob, define_stream_job

if TYPE_CHECKING:
    from millrace.settings import Settings
    from millrace.streams.work import StreamWork
    from millrace.warehouse.store import Warehouse


def _scoring(settings: "Settings", store: "Warehouse", slot: int, run_id: str) -> "StreamWork":
    from functools import partial

    from millrace.streams.scoring.work import STREAM, scoring_work
    from millrace.text.adopt import settled
    from millrace.text.champion import ChampionWatch
    from millrace.text.pinned import scorer_of

    pinned = settled(settings, store, STREAM, actor="first start", run_id=run_id)
    make = partial(scorer_of, settings=settings)
    champion = ChampionWatch(settings, store, STREAM, run_id=run_id)
    return scoring_work(settings, make(pinned), slot=slot, pinned=pinned, scorer_of=make, follow=champion.look)


def _documents(settings: "Settings", store: "Warehouse", slot: int, run_id: str) -> "StreamWork":
    from millrace.streams.documents.work import document_work

    return document_work(settings, slot=slot)


SCORE_EVENTS = StreamJob(
    name="score_events",
    asset=EVENTS_SCORED.key.to_user_string(),
    description="Scores the text of each event of events.raw, exactly once, and writes it to events.scored.",
    build=_scoring,
)

PROCESS_DOCUMENTS = StreamJob(
    name="process_documents",
    asset=LLM_RESULTS.key.to_user_string(),
    description="Asks a language model about each document of financial-documents, exactly once, and writes what it "
    "said to llm-results.",
    build=_documents,
)

STREAM_JOBS = tuple(define_stream_job(stream) for stream in (SCORE_EVENTS, PROCESS_DOCUMENTS))
