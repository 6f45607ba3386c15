"""`millrace stream demo`: producer, scorer, sinks and the live page, for a minute, in one command."""

import random
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from millrace.cli.output import Json, console, emit, errors, guarded

if TYPE_CHECKING:
    from millrace.settings import Settings
    from millrace.streams.producing import Produced
    from millrace.streams.sinks.run import Sunk

_STREAM = "score_events"
_START_SECONDS = 60.0
_CATCH_UP_SECONDS = 30.0


@guarded
def demo(
    seconds: Annotated[float, typer.Option(help="How long events are produced.")] = 60.0,
    rate: Annotated[float, typer.Option(help="Events a second.")] = 50.0,
    bad: Annotated[float, typer.Option(help="Share of messages that are no events.")] = 0.01,
    folder: Annotated[Path, typer.Option(help="Where ai_kafka_results.csv and the Parquet parts go.")] = Path(),
    as_json: Json = False,
) -> None:
    """Produce events, score them, write them to CSV and Parquet, and show them on a live page.

    A platform that is not up is started, and stopped in the end; a stream that was not running is stopped too.
    """
    from millrace.cli.platform_commands import bring_up
    from millrace.settings import load
    from millrace.stack.up import status, stop

    settings = load()
    was_up = bool(status(settings))
    bring_up(settings)
    try:
        told = _play(settings, folder.absolute(), seconds=seconds, rate=rate, bad=bad)
    finally:
        if not was_up:
            errors().print("stopping the platform")
            stop(settings)
    if as_json:
        emit(told)
        return
    for name, value in told.items():
        console().print(f"{name.replace('_', ' ')}: {value}", markup=False, soft_wrap=True)


def _play(settings: "Settings", folder: Path, *, seconds: float, rate: float, bad: float) -> dict[str, Any]:
    from millrace.examples.events import generate_events
    from millrace.streams.producing import produce
    from millrace.streams.wanted import start, wanted_of
    from millrace.streams.wanted import stop as stop_stream
    from millrace.warehouse.store import open_warehouse

    store = open_warehouse(settings, migrate=True)
    ran = wanted_of(store, _STREAM).running > 0
    over, sinks_over = threading.Event(), threading.Event()
    signal.signal(signal.SIGINT, lambda *_: over.set())
    errors().print(f"live page: {settings.api_url}/ui/streams", soft_wrap=True)
    with ThreadPoolExecutor(2) as pool:
        try:
            if not ran:
                start(store, _STREAM, processes=1, actor=f"cli:{settings.user}")
            _wait_for_process(settings, over)
            sinks = pool.submit(_sink, settings, folder, sinks_over)
            events = generate_events(seed=random.randrange(2**31), bad_share=bad)
            count = max(1, int(seconds * rate))
            topic = settings.topics.events_raw
            sent = pool.submit(produce, settings, topic, events, rate=rate, count=count, stop=over)
            last = _show(settings, sent)
        finally:
            over.set()
            sinks_over.set()
            if not ran:
                stop_stream(store, _STREAM, actor=f"cli:{settings.user}")
    done, sunk = sent.result(), sinks.result()
    return {
        "produced": done.count,
        "bad": sum(done.bad.values()),
        "written": sunk.rows,
        "sentiments": last["sentiments"],
        "latency_p95_seconds": round(last["latency"]["p95"], 3),
        "csv": str(folder / "ai_kafka_results.csv"),
        "parquet": str(folder / "ai_kafka_results"),
    }


def _wait_for_process(settings: "Settings", over: threading.Event) -> None:
    from millrace.contracts.errors import CannotReach
    from millrace.streams.members import members_of
    from millrace.warehouse.store import open_warehouse

    store, until = open_warehouse(settings), time.monotonic() + _START_SECONDS
    while not any(one.alive for one in members_of(store, _STREAM)):
        if over.wait(0.2) or time.monotonic() > until:
            raise CannotReach(
                f"{_STREAM} did not begin to run within {_START_SECONDS:.0f} s",
                remedy=f"look at the runs of {_STREAM} at {settings.dagster_url}",
            )


def _sink(settings: "Settings", folder: Path, over: threading.Event) -> "Sunk":
    from contextlib import closing

    from millrace.streams.sinks.csv_sink import FILE_NAME, CsvSink
    from millrace.streams.sinks.parquet_sink import ParquetSink
    from millrace.streams.sinks.run import run_sinks

    with closing(CsvSink(folder / FILE_NAME)) as rows, closing(ParquetSink(folder / Path(FILE_NAME).stem)) as parts:
        return run_sinks(settings, [rows, parts], stop=over)


def _show(settings: "Settings", sent: "Future[Produced]") -> dict[str, Any]:
    """The last state seen, once all that was produced is scored, or half a minute after the last was sent."""
    from rich.live import Live

    from millrace.cli.stream_watch import picture, reader_of

    reader, until = reader_of(settings), None
    try:
        with Live(console=errors(), auto_refresh=False) as screen:
            while True:
                ((_, _, whole),) = reader.look(None)
                screen.update(picture(whole), refresh=True)
                if sent.done():
                    until = until or time.monotonic() + _CATCH_UP_SECONDS
                    waiting = whole["status"].get("lag_records", 1)
                    if not waiting or time.monotonic() > until:
                        break
                time.sleep(0.5)
    finally:
        reader.close()
    # what was scored last is read by the sinks within this time
    time.sleep(1.0)
    sentiments: dict[str, int] = {}
    for _, sentiment, _, count in whole["counts"]:
        sentiments[sentiment] = sentiments.get(sentiment, 0) + count
    return {**whole, "sentiments": sentiments}
