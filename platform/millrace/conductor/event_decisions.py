"""Decisions on events: what the warehouse and the runs report."""

from datetime import timedelta

from millrace.conductor import decisions as d
from millrace.conductor import happenings as h
from millrace.conductor.backoff import backoff_seconds
from millrace.conductor.moves import ending, go_on, ignored, is_current
from millrace.conductor.states import Snapshot, State, stage_name
from millrace.contracts.stages import Level, TriggeredStage


def dataset_seen(snapshot: Snapshot, seen: h.DatasetSeen) -> d.Decision:
    """The pipeline begins: with a question, with the bias stage, or superseded from the start."""
    if seen.newer_pipeline is not None:
        return d.Decision(
            "superseded",
            None,
            f"a newer version of the data set is already in pipeline {seen.newer_pipeline}",
            (d.RecordSuccessor(seen.newer_pipeline),),
        )
    if seen.answers is None:
        return d.Decision("waiting_for_answers", None, f"the data set is stored; {seen.why}")
    return go_on(snapshot, "bias", f"the data set is stored; {seen.why}", d.RecordAnswers(seen.answers))


def stage_started(snapshot: Snapshot, started: h.StageStarted) -> d.Decision:
    """The stage runs."""
    if not is_current(snapshot, started.stage, started.level, started.attempt):
        return ignored(snapshot, "is of an attempt that is over")
    to_state: State = "retrying" if snapshot.state == "retrying" else "running"
    what = _what(started.stage, started.level)
    return d.Decision(to_state, started.stage, f"{what}: attempt {started.attempt} started", _kept_retry(snapshot))


def bias_reported(snapshot: Snapshot, reported: h.BiasReported) -> d.Decision:
    """Training is next."""
    if not is_current(snapshot, "bias", None, reported.attempt):
        return ignored(snapshot, "is of an attempt that is over")
    return go_on(
        snapshot, "automl", f"bias report {reported.report_id} is saved", detail={"report_id": reported.report_id}
    )


def model_uploaded(snapshot: Snapshot, uploaded: h.ModelUploaded) -> d.Decision:
    """The explanations are next."""
    if not is_current(snapshot, "automl", None, uploaded.attempt):
        return ignored(snapshot, "is of an attempt that is over")
    return go_on(
        snapshot, "xai", f"model v{uploaded.version} is saved", detail={"model_version": f"v{uploaded.version}"}
    )


def xai_reported(snapshot: Snapshot, reported: h.XaiReported) -> d.Decision:
    """The pipeline is complete with the last level."""
    if not is_current(snapshot, "xai", reported.level, reported.attempt):
        return ignored(snapshot, "is of an attempt that is over")
    done = {one.level for one in snapshot.attempts if one.stage == "xai" and one.state == "done"}
    facts = {"report_id": reported.report_id, "level": reported.level}
    message = f"explanation report {reported.report_id} ({reported.level}) is saved"
    if snapshot.state in ("retrying", "failed"):
        return d.Decision(snapshot.state, "xai", message, _kept_retry(snapshot), detail=facts)
    if set(snapshot.settings.levels) <= done | {reported.level}:
        return d.Decision("completed", None, f"{message}; every level is there", detail=facts)
    return d.Decision("running", "xai", message, detail=facts)


def _kept_retry(snapshot: Snapshot) -> tuple[d.Command, ...]:
    if snapshot.state == "retrying" and snapshot.retry_at is not None:
        return (d.ScheduleRetry(snapshot.retry_at),)
    return ()


def _what(stage: TriggeredStage, level: Level | None) -> str:
    return f"the {level} explanation" if level else stage_name(stage)


def stage_failed(snapshot: Snapshot, failed: h.StageFailed) -> d.Decision:
    """The stage is tried again after a wait, or the pipeline has failed."""
    if not is_current(snapshot, failed.stage, failed.level, failed.attempt):
        return ignored(snapshot, "is of an attempt that is over")
    error = d.RecordError(
        {
            "stage": failed.stage,
            "level": failed.level,
            "attempt": failed.attempt,
            "error": failed.error_class,
            "message": failed.message,
            "transient": failed.transient,
        }
    )
    what = (
        f"{_what(failed.stage, failed.level)}: attempt {failed.attempt} failed ({failed.error_class}: {failed.message})"
    )
    detail = dict(error.error)
    if snapshot.state == "failed":
        return d.Decision("failed", failed.stage, what, detail=detail)
    if not failed.transient:
        return d.Decision(
            "failed", failed.stage, f"{what}; trying again would fail the same way", (error,), detail=detail
        )
    if failed.attempt > snapshot.settings.retries:
        return d.Decision("failed", failed.stage, f"{what}; no retries are left", (error,), detail=detail)
    wait = backoff_seconds(failed.attempt, key=f"{snapshot.pipeline_id}:{failed.stage}:{failed.level}")
    due = failed.at + timedelta(seconds=wait)
    if snapshot.state == "retrying" and snapshot.retry_at is not None:
        due = max(due, snapshot.retry_at)
    return d.Decision(
        "retrying", failed.stage, f"{what}; trying again in {wait:.0f} s", (error, d.ScheduleRetry(due)), detail=detail
    )


def superseded(snapshot: Snapshot, by: h.Superseded) -> d.Decision:
    """A newer version of the data set takes over; open attempts are closed and their runs ended."""
    void = "; the approvals given are void" if snapshot.approvals else ""
    return d.Decision(
        "superseded",
        snapshot.stage,
        f"version {by.version} of the data set takes its place in pipeline {by.by_pipeline}{void}",
        (*ending(snapshot), d.VoidApprovals(), d.RecordSuccessor(by.by_pipeline)),
        detail={"superseded_by": by.by_pipeline, "version": by.version},
    )


def runs_ended(snapshot: Snapshot, ended: h.RunsEnded) -> d.Decision:
    """Nothing of a stopped pipeline runs any more."""
    if not snapshot.ending_runs or snapshot.state is None:
        return ignored(snapshot, "has no runs to end")
    told = f"runs ended: {', '.join(ended.ended)}" if ended.ended else "no run was left to end"
    return d.Decision(snapshot.state, snapshot.stage, told, (d.StopEndingRuns(),), detail={"runs": list(ended.ended)})
