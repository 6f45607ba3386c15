"""The job of a stream: one op that runs until it is not wanted any more, or is interrupted."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dagster import Failure, JobDefinition, MetadataValue, OpExecutionContext, in_process_executor, job, op

from assets.checkpoints import checkpoint_observation
from assets.tags import EPOCH, SLOT, STREAM, STREAMS_LANE
from millrace.contracts.errors import CannotReach, MillraceError, TerminalError
from resources.warehouse import WarehouseResource

if TYPE_CHECKING:
    from millrace.settings import Settings
    from millrace.streams.checkpoint import Checkpoint
    from millrace.streams.members import Member
    from millrace.streams.run import Ending
    from millrace.streams.work import StreamWork
    from millrace.warehouse.store import Warehouse


@dataclass(frozen=True)
class StreamJob:
    """What makes one stream's job different from another's."""

    name: str
    asset: str
    """Key of the external asset that its checkpoints observe."""
    description: str
    build: "Callable[[Settings, Warehouse, int, str], StreamWork]"
    """The work of the process with a slot, in the run with an id."""


def define_stream_job(stream: StreamJob) -> JobDefinition:
    """The job: one op in the run's own process, in the lane of streams, never retried by Dagster."""

    @op(name=f"{stream.name}_loop", description=stream.description)
    def loop(context: OpExecutionContext, warehouse: WarehouseResource) -> None:
        _run(context, stream, warehouse)

    @job(
        name=stream.name,
        executor_def=in_process_executor,
        tags={**STREAMS_LANE, STREAM: stream.name},
        description=f"{stream.description} Runs until it is ended: terminate it here, or `millrace stream stop`.",
    )
    def made() -> None:
        loop()

    return made


def _run(context: OpExecutionContext, stream: StreamJob, resource: WarehouseResource) -> None:
    from millrace.streams.members import BEAT_SECONDS
    from millrace.streams.run import Rhythm, run_stream

    settings, store = resource.settings(), resource.open()
    with _membership(context, stream.name, store) as watch:
        watch.asset = stream.asset
        work = watch.work = stream.build(settings, store, watch.member.slot, context.run_id)
        rhythm = Rhythm(BEAT_SECONDS, settings.stream_checkpoint_seconds, settings.stream_hours * 3600)
        watch.ending = run_stream(settings, work, watch, rhythm=rhythm)


@contextlib.contextmanager
def _membership(context: OpExecutionContext, name: str, store: "Warehouse") -> "Iterator[_Watch]":
    """The run's slot while it lives; how it ended is recorded, and an error that no restart cures halts the stream."""
    from millrace.streams.members import claim, leave
    from millrace.streams.wanted import halt

    slot = context.run.tags.get(SLOT)
    member = claim(store, name, context.run_id, slot=None if slot is None else int(slot))
    if slot is None:
        # launched by hand: the supervisor counts it by these tags
        context.instance.add_run_tags(context.run_id, {SLOT: str(member.slot), EPOCH: str(member.epoch)})
    watch = _Watch(context, store, member)
    outcome = "ended without a word"
    try:
        yield watch
        outcome = watch.ending.why if watch.ending is not None else outcome
        context.log.info(f"{name}, slot {member.slot}: {outcome}")
    except MillraceError as error:
        outcome = str(error)
        if isinstance(error, TerminalError) and error.code != "replaced":
            halt(store, name, reason=outcome, actor=f"dagster:{context.run_id}")
        facts = {key: MetadataValue.text(str(value)) for key, value in error.attrs().items()}
        raise Failure(description=outcome, metadata=facts, allow_retries=False) from error
    except BaseException as error:
        outcome = f"interrupted: {type(error).__name__}: {error}"
        raise
    finally:
        with contextlib.suppress(CannotReach):
            leave(store, member, outcome=outcome, checkpoint=watch.newest)


class _Watch:
    """Tells the warehouse and Dagster of a running stream, and the stream whether it is wanted."""

    def __init__(self, context: OpExecutionContext, store: "Warehouse", member: "Member") -> None:
        self._context = context
        self._store = store
        self.member = member
        self.asset = ""
        self.work: StreamWork | None = None
        self._refused: Mapping[str, object] | None = None
        self._again = False
        self.ending: Ending | None = None
        self.newest: dict[str, object] | None = None
        self._history: list[object] = []

    def beat(self) -> str | None:
        """Why the stream should end, None to go on. A database that is away keeps no stream from its work."""
        from millrace.streams.members import beat

        try:
            reason, pinned = beat(self._store, self.member, checkpoint=self.newest)
        except CannotReach as error:
            self._context.log.warning(f"no beat: {error}")
            return None
        self._refresh(pinned)
        return reason

    def _refresh(self, pinned: "Mapping[str, object] | None") -> None:
        if pinned is None or self.work is None or pinned in (self.work.pinned(), self._refused):
            return
        try:
            self.work.refresh(pinned)
            self._context.log.info(f"goes on with {pinned.get('source')} {pinned.get('version')}")
        except MillraceError as error:
            self._refused, self._again = pinned, error.transient
            self._context.log.error(f"goes on with what it has: {error}")

    def checkpoint(self, found: "Checkpoint") -> None:
        """An observation in Dagster; the warehouse hears of it with the next beat."""
        from millrace.streams.status import HISTORY, history_entry

        if self._again:
            # what could not be reached may be reached now
            self._refused = None
        if found.lag is not None:
            self._history = [*self._history, history_entry(found.at, found.lag)][-HISTORY:]
        self.newest = {**found.to_json(), "history": self._history}
        self._context.log_event(checkpoint_observation(self.asset, self.member, found))
        self._follow()

    def _follow(self) -> None:
        from millrace.streams.members import leads

        try:
            # of several processes one looks; all hear of what it pins with their next beat
            if self.work is not None and leads(self._store, self.member):
                self.work.follow()
        except MillraceError as error:
            self._context.log.error(f"goes on with what it has: {error}")
