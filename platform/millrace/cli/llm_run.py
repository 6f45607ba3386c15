"""`millrace llm run`: the document processor as a process of its own."""

import logging
import logging.handlers
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from millrace.cli.output import Json, console, emit, guarded

_LOG_BYTES = 10 << 20
_LOG_FILES = 5


@guarded
def run(
    slot: Annotated[int, typer.Option(help="Number of this process, from 0; each that runs at once has its own.")] = 0,
    count: Annotated[int | None, typer.Option(help="End when so many documents are done (default: never).")] = None,
    timeout: Annotated[float | None, typer.Option(help="End after so many seconds (default: never).")] = None,
    as_json: Json = False,
) -> None:
    """Process documents until stopped: each becomes a result, or a dead letter with its cause.

    SIGTERM and Ctrl-C end it within 10 s: what is done is committed, the rest is read again at the next start.
    """
    from millrace.cli.llm_settings import llm_settings
    from millrace.streams.documents.service import run_documents

    settings = llm_settings()
    _log_to(settings.logs / f"llm-{slot}.log")
    stop, signals = threading.Event(), list[int]()

    def ended(number: int, _: object) -> None:
        signals.append(number)
        stop.set()

    before = {number: signal.signal(number, ended) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        totals = run_documents(settings, slot=slot, stop=stop, count=count, timeout=timeout)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if as_json:
        emit({**vars(totals), "topic": settings.topics.llm_results})
    else:
        results = f"{totals.outputs} results, {totals.dead_letters} dead letters"
        console().print(f"{totals.records} documents: {results}, in {totals.transactions} transactions")
    if signal.SIGINT in signals:
        raise typer.Exit(130)


def _log_to(path: Path) -> None:
    """Logs to the file, which is rotated, and to standard error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = logging.handlers.RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=_LOG_FILES, encoding="utf-8")
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s",
        handlers=[file, logging.StreamHandler(sys.stderr)], force=True,
    )  # fmt: skip
    # one line per request would drown the events
    logging.getLogger("httpx").setLevel(logging.WARNING)
