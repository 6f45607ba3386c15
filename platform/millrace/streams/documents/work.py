"""A process of `process_documents` put together from the settings."""

import threading

from millrace.kafka.stream_options import StreamOptions
from millrace.settings import Settings
from millrace.streams.documents.audit import AuditTrail, anchor_path, trail_path
from millrace.streams.documents.meter import DocumentMeter
from millrace.streams.documents.statistics_store import StatisticsStore, statistics_folder
from millrace.streams.documents.step import DocumentStep
from millrace.streams.names import group_of, topics_of
from millrace.streams.work import StreamWork

STREAM = "process_documents"
_BATCHES_OF_REQUESTS = 2
"""Documents of a transaction for each request that may be under way: fewer leave requests unused while the slowest
document of a batch is waited for, more make results wait for it."""


def document_options(settings: Settings, *, slot: int) -> StreamOptions:
    """How the process with this slot runs."""
    return StreamOptions(
        group=group_of(settings, STREAM),
        topics=topics_of(settings, STREAM),
        slot=slot,
        guarantee=settings.stream_guarantee,
        interval=settings.stream_interval_ms / 1000,
        compression="gzip",
        batch_records=_BATCHES_OF_REQUESTS * settings.llm_concurrency,
        # a document that the server refuses is rare: fewer of them than of unreadable events are an alarm
        dead_letter_window=200,
        dead_letter_minimum=50,
    )


def document_step(settings: Settings, *, stop: threading.Event) -> tuple[DocumentStep, DocumentMeter]:
    """The step and what it counts; set `stop` to let requests under way end soon.

    Raises:
        IntegrityBroken: the audit trail was altered.
    """
    meter = DocumentMeter(StatisticsStore(statistics_folder(settings)))
    trail = AuditTrail(trail_path(settings), anchor_path(settings))
    return DocumentStep(settings, trail=trail, meter=meter, stop=stop), meter


def document_work(settings: Settings, *, slot: int) -> StreamWork:
    """What the process with this slot does.

    Raises:
        IntegrityBroken: the audit trail was altered.
    """
    step, _ = document_step(settings, stop=threading.Event())
    topics = (settings.topics.documents, settings.topics.llm_results)
    return StreamWork(options=document_options(settings, slot=slot), step=step, topics=topics)
