"""`millrace stream sink`: scored events into a CSV file and Parquet parts."""

import signal
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from typer import Option

from millrace.cli.output import Json, console, emit, guarded


@guarded
def sink(
    csv: Annotated[Path | None, Option(help="CSV file; ai_kafka_results.csv here where neither is named.")] = None,
    parquet: Annotated[Path | None, Option(help="Folder of Parquet parts and their manifest.")] = None,
    until_end: Annotated[bool, Option("--until-end", help="End when all that is there now is written.")] = False,
    as_json: Json = False,
) -> None:
    """Write scored events to files, each once, and go on where an earlier call stopped, however it ended.

    It runs until Ctrl-C or SIGTERM. The CSV file grows by complete lines; cells that a spreadsheet would take for
    formulas begin with an apostrophe.
    """
    from millrace.settings import load
    from millrace.streams.sinks.csv_sink import FILE_NAME, CsvSink
    from millrace.streams.sinks.parquet_sink import ParquetSink
    from millrace.streams.sinks.run import run_sinks
    from millrace.streams.sinks.sink import Sink

    settings, stop = load(), threading.Event()
    if csv is None and parquet is None:
        csv = Path(FILE_NAME)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with ExitStack() as held:
        sinks: list[Sink] = []
        if csv is not None:
            sinks.append(CsvSink(csv.absolute()))
            held.callback(sinks[-1].close)
        if parquet is not None:
            sinks.append(ParquetSink(parquet.absolute()))
            held.callback(sinks[-1].close)
        done = run_sinks(settings, sinks, stop=stop, until_end=until_end)
    if as_json:
        emit({"rows": done.rows, "rejected": done.rejected, "csv": csv, "parquet": parquet})
    else:
        where = " and ".join(str(one) for one in (csv, parquet) if one is not None)
        console().print(f"{done.rows} scored events read into {where}", soft_wrap=True)
