"""A stream's checkpoint as an observation of the topic that it writes."""

from typing import TYPE_CHECKING, Any

from dagster import AssetKey, AssetObservation, MetadataValue

from assets.metadata import markdown_table

if TYPE_CHECKING:
    from millrace.streams.checkpoint import Checkpoint
    from millrace.streams.members import Member
    from millrace.streams.meter import Percentiles


def checkpoint_observation(asset: str, member: "Member", found: "Checkpoint") -> AssetObservation:
    """Offsets, counts, rates, lag, latency percentiles and what the step says of itself."""
    window = found.window
    metadata: dict[str, Any] = {
        "slot": member.slot,
        "window seconds": round(found.window_seconds, 3),
        "records": window.records,
        "outputs": window.outputs,
        "dead letters": window.dead_letters,
        "transactions": window.transactions,
        "aborted": window.aborted,
        "records a second": round(found.rate, 3),
        "records in all": found.totals.records,
        "outputs in all": found.totals.outputs,
        "dead letters in all": found.totals.dead_letters,
        "offsets": MetadataValue.json(dict(found.offsets)),
        "latency": _latency(found),
        "end to end p99 seconds": round(found.times.end_to_end.p99, 4),
        **{name.replace("_", " "): value for name, value in found.facts.items()},
    }
    if found.lag_records is not None and found.lag_seconds is not None:
        metadata["lag records"] = found.lag_records
        metadata["lag seconds"] = round(found.lag_seconds, 3)
    return AssetObservation(
        asset_key=AssetKey(asset), metadata=metadata, description=f"checkpoint of {member.stream}, slot {member.slot}"
    )


def _latency(found: "Checkpoint") -> Any:
    def row(name: str, one: "Percentiles") -> list[Any]:
        return [name, one.count, *(round(1000 * value, 1) for value in (one.p50, one.p95, one.p99))]

    times = found.times
    return markdown_table(
        ["milliseconds", "samples", "p50", "p95", "p99"],
        [row("queue", times.queue), row("step", times.step), row("end to end", times.end_to_end)],
    )
