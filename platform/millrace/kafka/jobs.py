"""A batch on its way: what is to be processed, what came of it, what may be committed and what has to wait."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter

from millrace.contracts.errors import MillraceError, TerminalError, TransientError
from millrace.kafka.dead_letters import build_dead_letter
from millrace.kafka.limits import LARGEST_MESSAGE_BYTES
from millrace.kafka.processor import Output, Processor, Result
from millrace.kafka.records import Record
from millrace.kafka.waiting import Place, place_of

_LARGEST_BYTES = LARGEST_MESSAGE_BYTES - (64 << 10)
"""Of an output's value and key; the rest is for headers and framing."""
_value, _key = itemgetter(1), itemgetter(2)


@dataclass(frozen=True)
class Job:
    """Records in their order with what is known of each; `ends` are the offsets to commit when all are done."""

    records: Sequence[Record]
    results: Sequence[Result | None]
    """Parallel to the records; None for one that was not processed."""
    ends: Mapping[Place, int]
    tries: int = 0


@dataclass(frozen=True)
class Settled:
    """What can be committed of a job, and the rest of it."""

    outputs: list[Output]
    """Dead letters included, in the records' order."""
    ends: Mapping[Place, int]
    records: int
    dead_letters: int
    cause: str
    """The last dead letter's error."""
    held: Job | None
    """From each partition's first record that met a transient failure on; None when there was none."""
    progress: bool
    """Whether at least one record was processed now."""
    transient: TransientError | None


def fresh_job(records: Sequence[Record], ends: Mapping[Place, int]) -> Job:
    """A job of which nothing is done."""
    return Job(records, (None,) * len(records), ends)


def joined(first: Job, second: Job) -> Job:
    """Two jobs of different partitions as one."""
    return Job(
        [*first.records, *second.records],
        [*first.results, *second.results],
        {**first.ends, **second.ends},
        max(first.tries, second.tries),
    )


def work_on(job: Job, processor: Processor, *, most: int | None = None) -> tuple[Job, bool]:
    """The job with the results of its records that have none or failed transiently, at most `most` of them.

    Also whether any of these has a final result now.

    Raises:
        RuntimeError: the processor did not give one result per record.
    """
    whole = job.tries == 0 and most is None
    pending: list[int] = []
    if not whole:
        pending = [at for at, result in enumerate(job.results) if result is None or isinstance(result, TransientError)]
        pending = pending[:most]
        whole = len(pending) == len(job.records)
    batch = job.records if whole else [job.records[at] for at in pending]
    given: Sequence[Result]
    try:
        given = processor.process(batch)
    except TransientError as error:
        given = [error] * len(batch)
    if len(given) != len(batch):
        raise RuntimeError(f"{type(processor).__name__} gave {len(given)} results for {len(batch)} records")
    progress = any(not isinstance(result, TransientError) for result in given)
    if whole:
        return Job(job.records, given, job.ends, job.tries + 1), progress
    results = list(job.results)
    for at, result in zip(pending, given, strict=True):
        results[at] = result
    return Job(job.records, results, job.ends, job.tries + 1), progress


def settle(job: Job, *, stage: str, code_version: str, progress: bool) -> Settled:
    """The job divided: per partition, all before the first record without a final result can be committed."""
    if (plain := _all_good(job.results)) is not None:
        return Settled(plain, job.ends, len(job.records), 0, "", None, progress, None)
    failed = [result for result in job.results if result is None or isinstance(result, MillraceError)]
    if not any(result is None or isinstance(result, TransientError) for result in failed):
        outputs, dead, cause = _outputs(job.records, job.results, stage=stage, tries=job.tries, version=code_version)
        return Settled(outputs, job.ends, len(job.records), dead, cause, None, progress, None)
    places = [place_of(record) for record in job.records]
    stuck: dict[Place, int] = {}
    for place, record, result in zip(places, job.records, job.results, strict=True):
        if result is None or isinstance(result, TransientError):
            stuck.setdefault(place, record.coordinates.offset)
    free = [record.coordinates.offset < stuck.get(place, record.coordinates.offset + 1)
            for place, record in zip(places, job.records, strict=True)]  # fmt: skip
    done = [at for at, is_free in enumerate(free) if is_free]
    rest = [at for at, is_free in enumerate(free) if not is_free]
    outputs, dead, cause = _outputs(
        [job.records[at] for at in done], [job.results[at] for at in done],
        stage=stage, tries=job.tries, version=code_version,
    )  # fmt: skip
    ends = {place: end for place, end in job.ends.items() if place not in stuck}
    ends |= {places[at]: stuck[places[at]] for at in done if places[at] in stuck}
    held = Job(
        [job.records[at] for at in rest],
        [job.results[at] for at in rest],
        {place: end for place, end in job.ends.items() if place in stuck},
        job.tries,
    )
    transient = [result for result in failed if isinstance(result, TransientError)]
    return Settled(outputs, ends, len(done), dead, cause, held, progress, transient[-1] if transient else None)


def _all_good(results: Sequence[Result | None]) -> list[Output] | None:
    """All outputs of a batch without an error, which nearly every batch is; None for any other."""
    if not set(map(type, results)) <= {tuple, list}:
        return None
    outputs: list[Output] = list(chain.from_iterable(results))  # type: ignore[arg-type]
    # no output is larger than the largest value and the largest key together; what may be is looked at one by one
    largest = sum(max(map(len, filter(None, map(part, outputs))), default=0) for part in (_value, _key))
    return outputs if largest <= _LARGEST_BYTES else None


def _outputs(
    records: Sequence[Record], results: Sequence[Result | None], *, stage: str, tries: int, version: str
) -> tuple[list[Output], int, str]:
    outputs: list[Output] = []
    dead, cause = 0, ""
    for at, result in enumerate(results):
        found = result if isinstance(result, MillraceError) else _too_large(result or ())
        if found is None:
            outputs.extend(result)  # type: ignore[arg-type]
            continue
        letter = build_dead_letter(records[at], stage=stage, error=found, attempt=tries, code_version=version)
        outputs.append(Output(letter.topic, letter.value, letter.key, letter.headers))
        dead, cause = dead + 1, str(found)
    return outputs, dead, cause


def _too_large(outputs: Sequence[Output]) -> TerminalError | None:
    for output in outputs:
        size = len(output.value or b"") + len(output.key or b"")
        if size > _LARGEST_BYTES:
            return TerminalError(
                f"the output for {output.topic} has {size} bytes, more than a message may have",
                remedy="let the step give less for this record",
            )
    return None
