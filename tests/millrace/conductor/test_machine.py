"""The state machine alone: no database, no clock, no Kafka.

Above 300 lines because each row of the table of transitions has its sentence here.
"""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from millrace.conductor import decisions as d
from millrace.conductor import happenings as h
from millrace.conductor.machine import decide
from millrace.conductor.states import STATES, TERMINAL, Attempt, Snapshot, State
from millrace.conductor.transitions import TRANSITIONS, possible_requests, targets
from millrace.contracts.errors import Conflict
from millrace.contracts.stages import LEVELS
from millrace.contracts.task import Answers, PipelineSettings

AT = datetime(2026, 1, 1, tzinfo=UTC)
ANSWERS = Answers(target="approved", task_type="classification", positive="yes", sensitive=("sex",))
SHOWN = {"automl": "a" * 64, "xai": "b" * 64}


def begun(**settings: object) -> Snapshot:
    return Snapshot("pl-1", None, None, PipelineSettings.model_validate(settings), shown=SHOWN)


def after(snapshot: Snapshot, decision: d.Decision) -> Snapshot:
    """The snapshot once the decision is carried out, as the store does it."""
    if decision.ignored:
        return snapshot
    changes: dict[str, object] = {"state": decision.to_state, "stage": decision.stage, "retry_at": None}
    attempts = list(snapshot.attempts)
    for command in decision.commands:
        match command:
            case d.SendTrigger(stage=stage, level=level, attempt=number):
                attempts.append(Attempt(stage, level, number, "requested"))
            case d.CancelAttempts():
                attempts = [dataclasses.replace(one, state="cancelled") if one.is_open else one for one in attempts]
            case d.RecordAnswers(answers=answers, settings=plan):
                changes["answers"] = answers
                changes["settings"] = plan or snapshot.settings
            case d.RecordApproval(stage=stage, sha256=sha256):
                changes["approvals"] = {**snapshot.approvals, stage: sha256}
            case d.VoidApprovals():
                changes["approvals"] = {}
            case d.ScheduleRetry(at=at):
                changes["retry_at"] = at
            case d.EndRuns():
                changes["ending_runs"] = True
            case d.StopEndingRuns():
                changes["ending_runs"] = False
    return dataclasses.replace(snapshot, attempts=tuple(attempts), **changes)


def step(snapshot: Snapshot, happening: h.Happening) -> Snapshot:
    return after(snapshot, decide(snapshot, happening))


def finish(snapshot: Snapshot, stage: str, level: str | None = None, state: str = "done") -> Snapshot:
    """The worker's side: the newest open attempt at the stage comes to that state in the warehouse."""
    number = max(one.number for one in snapshot.attempts if one.stage == stage and one.level == level)
    attempts = tuple(
        dataclasses.replace(one, state=state) if (one.stage, one.level, one.number) == (stage, level, number) else one
        for one in snapshot.attempts
    )
    return dataclasses.replace(snapshot, attempts=attempts)


def failed(stage: str, level: str | None = None, attempt: int = 1, *, transient: bool) -> h.StageFailed:
    return h.StageFailed(stage, level, attempt, "Boom", "it broke", transient=transient, at=AT)


def queued_for(stage: str, **settings: object) -> Snapshot:
    snapshot = step(begun(approvals=(), **settings), h.DatasetSeen(ANSWERS, "why"))
    if stage == "bias":
        return snapshot
    snapshot = step(finish(snapshot, "bias"), h.BiasReported(1, "br-1"))
    if stage == "automl":
        return snapshot
    return step(finish(snapshot, "automl"), h.ModelUploaded(1, 1))


def test_a_pipeline_goes_from_upload_to_reports_with_the_person_in_the_loop():
    snapshot = step(begun(), h.DatasetSeen(None, "a person confirms"))
    assert snapshot.state == "waiting_for_answers"
    snapshot = step(snapshot, h.Answered(ANSWERS, PipelineSettings()))
    assert (snapshot.state, snapshot.stage) == ("queued", "bias")
    snapshot = step(finish(snapshot, "bias", state="claimed"), h.StageStarted("bias", None, 1))
    assert snapshot.state == "running"
    snapshot = step(finish(snapshot, "bias"), h.BiasReported(1, "br-1"))
    assert (snapshot.state, snapshot.stage) == ("waiting_for_approval", "automl")
    snapshot = step(snapshot, h.Approved())
    assert (snapshot.state, snapshot.stage, snapshot.approvals["automl"]) == ("queued", "automl", SHOWN["automl"])
    snapshot = step(finish(snapshot, "automl"), h.ModelUploaded(1, 1))
    assert (snapshot.state, snapshot.stage) == ("waiting_for_approval", "xai")
    snapshot = step(snapshot, h.Approved("xai", seen=SHOWN["xai"]))
    assert {one.level for one in snapshot.open_attempts()} == set(LEVELS)
    for level in LEVELS:
        assert snapshot.state != "completed"
        snapshot = step(finish(snapshot, "xai", level), h.XaiReported(level, 1, f"xr-{level}"))
    assert snapshot.state == "completed"


def test_autopilot_begins_at_once_and_only_the_levels_that_are_wanted_are_explained():
    snapshot = queued_for("xai", levels=["expert"])
    assert [one.level for one in snapshot.open_attempts()] == ["expert"]
    assert step(finish(snapshot, "xai", "expert"), h.XaiReported("expert", 1, "xr")).state == "completed"


def test_a_result_that_is_seen_before_the_start_counts_and_the_late_start_changes_nothing():
    snapshot = step(finish(queued_for("bias"), "bias"), h.BiasReported(1, "br-1"))
    assert (snapshot.state, snapshot.stage) == ("queued", "automl")
    assert decide(snapshot, h.StageStarted("bias", None, 1)).ignored


def test_a_transient_failure_is_tried_again_after_a_wait_until_no_retries_are_left():
    snapshot = queued_for("automl", retries=2)
    for attempt in (1, 2):
        snapshot = step(finish(snapshot, "automl", state="failed"), failed("automl", attempt=attempt, transient=True))
        assert snapshot.state == "retrying"
        assert snapshot.retry_at is not None
        assert timedelta(seconds=1) <= snapshot.retry_at - AT <= timedelta(seconds=60)
        assert decide(snapshot, h.RetryDue(snapshot.retry_at - timedelta(milliseconds=1))).ignored
        snapshot = step(snapshot, h.RetryDue(snapshot.retry_at))
        assert (snapshot.state, snapshot.latest("automl", None).number) == ("queued", attempt + 1)
    snapshot = step(finish(snapshot, "automl", state="failed"), failed("automl", attempt=3, transient=True))
    assert (snapshot.state, snapshot.stage) == ("failed", "automl")


def test_a_terminal_failure_is_not_tried_again_until_a_person_asks():
    snapshot = step(finish(queued_for("bias"), "bias", state="failed"), failed("bias", transient=False))
    assert snapshot.state == "failed"
    assert snapshot.retry_at is None
    snapshot = step(snapshot, h.RetryAsked())
    assert (snapshot.state, snapshot.stage, snapshot.latest("bias", None).number) == ("queued", "bias", 2)


def test_retry_of_explanations_opens_only_the_levels_that_are_missing():
    snapshot = queued_for("xai")
    snapshot = step(finish(snapshot, "xai", "beginner"), h.XaiReported("beginner", 1, "xr-1"))
    snapshot = step(finish(snapshot, "xai", "expert", "failed"), failed("xai", "expert", transient=False))
    assert snapshot.state == "failed"
    snapshot = step(finish(snapshot, "xai", "intermediate"), h.XaiReported("intermediate", 1, "xr-2"))
    assert snapshot.state == "failed"
    snapshot = step(snapshot, h.RetryAsked())
    assert [(one.level, one.number) for one in snapshot.open_attempts()] == [("expert", 2)]
    snapshot = step(finish(snapshot, "xai", "expert"), h.XaiReported("expert", 2, "xr-3"))
    assert snapshot.state == "completed"


def test_other_levels_go_on_while_one_waits_for_its_retry():
    snapshot = step(finish(queued_for("xai"), "xai", "expert", "failed"), failed("xai", "expert", transient=True))
    due = snapshot.retry_at
    snapshot = step(finish(snapshot, "xai", "beginner", "claimed"), h.StageStarted("xai", "beginner", 1))
    snapshot = step(finish(snapshot, "xai", "beginner"), h.XaiReported("beginner", 1, "xr-1"))
    assert (snapshot.state, snapshot.retry_at) == ("retrying", due)
    snapshot = step(snapshot, h.RetryDue(due))
    assert [(one.level, one.number) for one in snapshot.open_attempts()] == [("intermediate", 1), ("expert", 2)]


@pytest.mark.parametrize("state", [one for one in STATES if one not in TERMINAL] + ["failed"])
def test_cancel_works_in_every_state_that_has_not_ended_otherwise(state: State):
    snapshot = dataclasses.replace(queued_for("automl"), state=state)
    cancelled = step(snapshot, h.CancelAsked("enough"))
    assert (cancelled.state, cancelled.ending_runs, cancelled.open_attempts()) == ("cancelled", True, ())
    assert decide(cancelled, h.CancelAsked()).ignored


def test_nothing_moves_a_cancelled_pipeline_but_the_end_of_its_runs():
    snapshot = step(queued_for("automl"), h.CancelAsked())
    for happening in (
        h.StageStarted("automl", None, 1),
        h.ModelUploaded(1, 1),
        failed("automl", transient=True),
        h.RetryDue(AT),
        h.Superseded("pl-2", 2),
    ):
        assert decide(snapshot, happening).ignored
    ended = step(snapshot, h.RunsEnded(("run-1",)))
    assert (ended.state, ended.ending_runs) == ("cancelled", False)
    assert decide(ended, h.RunsEnded()).ignored


def test_a_pipeline_without_open_attempts_has_no_runs_to_end():
    waiting = step(begun(), h.DatasetSeen(None, "why"))
    assert not step(waiting, h.CancelAsked()).ending_runs


def test_a_newer_version_takes_over_and_voids_the_approvals():
    snapshot = dataclasses.replace(queued_for("automl"), approvals={"automl": SHOWN["automl"]})
    superseded = step(snapshot, h.Superseded("pl-2", 2))
    assert (superseded.state, superseded.approvals, superseded.ending_runs) == ("superseded", {}, True)


def test_a_version_that_is_seen_after_a_newer_one_begins_superseded_and_sends_nothing():
    decision = decide(begun(approvals=()), h.DatasetSeen(ANSWERS, "why", newer_pipeline="pl-2"))
    assert decision.to_state == "superseded"
    assert not any(isinstance(one, d.SendTrigger) for one in decision.commands)


def test_an_approval_of_what_is_not_shown_any_more_is_refused():
    waiting = step(
        finish(
            queued_for(
                "bias",
            ),
            "bias",
        ),
        h.BiasReported(1, "br-1"),
    )
    waiting = dataclasses.replace(waiting, state="waiting_for_approval", attempts=waiting.attempts[:1])
    with pytest.raises(Conflict, match="has changed") as caught:
        decide(waiting, h.Approved("automl", seen="f" * 64))
    assert caught.value.field == "seen_sha256"


def test_an_approval_is_void_when_what_it_was_given_for_changes_before_the_stage_begins_again():
    snapshot = queued_for("bias")
    plan = PipelineSettings(approvals=("automl",))
    snapshot = dataclasses.replace(snapshot, settings=plan)
    snapshot = step(step(finish(snapshot, "bias"), h.BiasReported(1, "br-1")), h.Approved())
    snapshot = step(finish(snapshot, "automl", state="failed"), failed("automl", transient=False))
    same = step(snapshot, h.RetryAsked())
    assert same.state == "queued"
    changed = decide(dataclasses.replace(snapshot, shown={**SHOWN, "automl": "c" * 64}), h.RetryAsked())
    assert changed.to_state == "waiting_for_approval"
    assert "void" in changed.message


HELD = "bias policy strict holds it back: sex selection rate ratio fail"


def test_a_policy_that_holds_back_waits_for_a_person_on_autopilot_too_and_names_what_fails():
    snapshot = dataclasses.replace(queued_for("bias", policy="autopilot"), held={"automl": HELD})
    decision = decide(finish(snapshot, "bias"), h.BiasReported(1, "br-1"))
    assert (decision.to_state, decision.stage, decision.seen_sha256) == (
        "waiting_for_approval",
        "automl",
        SHOWN["automl"],
    )
    assert not [one for one in decision.commands if isinstance(one, d.SendTrigger)]
    assert decision.message == f"bias report br-1 is saved; {HELD}; the model waits for approval"
    waiting = after(finish(snapshot, "bias"), decision)
    going = step(waiting, h.Approved("automl", seen=SHOWN["automl"]))
    assert (going.state, going.approvals) == ("queued", {"automl": SHOWN["automl"]})
    assert step(waiting, h.Rejected(reason="unfair")).state == "rejected"


def test_a_model_that_the_policy_holds_back_is_not_explained_before_a_person_decides():
    snapshot = dataclasses.replace(queued_for("automl", policy="autopilot"), held={"xai": HELD})
    waiting = step(finish(snapshot, "automl"), h.ModelUploaded(1, 1))
    assert (waiting.state, waiting.stage) == ("waiting_for_approval", "xai")
    assert {one.level for one in step(waiting, h.Approved()).open_attempts()} == set(LEVELS)


def test_no_retry_passes_a_hold_whose_approval_was_for_something_else():
    snapshot = dataclasses.replace(
        queued_for("automl", policy="autopilot"), held={"automl": HELD}, approvals={"automl": "f" * 64}
    )
    failed_ = step(finish(snapshot, "automl", state="failed"), failed("automl", transient=True))
    assert step(failed_, h.RetryDue(failed_.retry_at)).state == "waiting_for_approval"
    same = dataclasses.replace(failed_, approvals={"automl": SHOWN["automl"]})
    assert step(same, h.RetryDue(same.retry_at)).state == "queued"


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(
    "request_",
    [
        h.Answered(ANSWERS, PipelineSettings()),
        h.Approved("automl"),
        h.Rejected("automl"),
        h.RetryAsked(),
        h.CancelAsked(),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_request_that_the_state_does_not_allow_says_the_state_and_what_is_possible(state: State, request_: h.Request):
    snapshot = dataclasses.replace(queued_for("automl"), state=state, answers=None)
    if targets(state, type(request_)):
        assert not decide(snapshot, request_).ignored
        return
    if (state, type(request_)) in {("cancelled", h.CancelAsked), ("rejected", h.Rejected)}:
        assert decide(snapshot, request_).ignored
        return
    with pytest.raises(Conflict) as caught:
        decide(snapshot, request_)
    assert snapshot.pipeline_id in caught.value.message
    for name in possible_requests(state):
        assert f"millrace pipeline {name} pl-1" in (caught.value.remedy or "")
    if not possible_requests(state):
        assert "start a new pipeline" in (caught.value.remedy or "")


def test_a_request_that_is_sent_again_changes_nothing():
    answered = step(step(begun(), h.DatasetSeen(None, "why")), h.Answered(ANSWERS, PipelineSettings()))
    assert decide(answered, h.Answered(ANSWERS, PipelineSettings())).ignored
    approved = step(step(finish(answered, "bias"), h.BiasReported(1, "br")), h.Approved("automl"))
    assert decide(approved, h.Approved("automl")).ignored
    waiting = step(finish(approved, "automl"), h.ModelUploaded(1, 1))
    assert decide(waiting, h.Approved("automl")).ignored
    rejected = step(waiting, h.Rejected("xai", "no"))
    assert decide(rejected, h.Rejected("xai", "no")).ignored


def test_an_approval_of_another_stage_than_the_one_that_waits_is_refused():
    waiting = dataclasses.replace(queued_for("automl"), state="waiting_for_approval")
    with pytest.raises(Conflict, match="approve is not possible"):
        decide(waiting, h.Approved("xai"))


def test_every_state_can_be_reached_and_every_transition_ends_in_one_that_exists():
    reached = {to for transition in TRANSITIONS for to in transition.to_states}
    assert reached == set(STATES)


class AnyCourse(RuleBasedStateMachine):
    """Workers, people, the clock and Kafka do whatever they can, in any order, events repeated and late."""

    def __init__(self) -> None:
        super().__init__()
        self.snapshot = begun()
        self.events: list[h.Happening] = []
        self.history: list[tuple[State | None, State, h.Happening]] = []
        self.at = AT

    def happen(self, happening: h.Happening) -> None:
        before = self.snapshot
        try:
            decision = decide(before, happening)
        except Conflict:
            assert isinstance(happening, h.Request)
            return
        self.snapshot = after(before, decision)
        if not decision.ignored:
            self.history.append((before.state, decision.to_state, happening))

    @initialize(
        autopilot=st.booleans(),
        approvals=st.sets(st.sampled_from(["automl", "xai"])),
        levels=st.sets(st.sampled_from(LEVELS), min_size=1),
        retries=st.integers(0, 3),
    )
    def begin(self, autopilot: bool, approvals: set[str], levels: set[str], retries: int) -> None:
        self.snapshot = begun(approvals=tuple(sorted(approvals)), levels=tuple(levels), retries=retries)
        self.happen(h.DatasetSeen(ANSWERS if autopilot else None, "why"))

    @precondition(lambda self: self.snapshot.open_attempts())
    @rule(data=st.data(), what=st.sampled_from(["claim", "done", "fail", "die"]))
    def a_worker_does_something(self, data: st.DataObject, what: str) -> None:
        one = data.draw(st.sampled_from(self.snapshot.open_attempts()))
        claimed = finish(self.snapshot, one.stage, one.level, "claimed")
        if one.state == "requested":
            self.events.append(h.StageStarted(one.stage, one.level, one.number))
            self.snapshot = claimed
        if what == "done":
            self.snapshot = finish(self.snapshot, one.stage, one.level, "done")
            self.events.append(
                {
                    "bias": h.BiasReported(one.number, "br"),
                    "automl": h.ModelUploaded(one.number, one.number),
                    "xai": h.XaiReported(one.level or "expert", one.number, "xr"),
                }[one.stage]
            )
        if what in ("fail", "die"):
            self.snapshot = finish(self.snapshot, one.stage, one.level, "failed")
            self.events.append(failed(one.stage, one.level, one.number, transient=what == "die"))

    @precondition(lambda self: self.events)
    @rule(data=st.data())
    def an_event_comes_in_any_order_and_perhaps_again(self, data: st.DataObject) -> None:
        self.happen(data.draw(st.sampled_from(self.events)))

    @rule(
        request_=st.sampled_from(
            [
                h.Answered(ANSWERS, PipelineSettings()),
                h.Approved(),
                h.Approved("automl"),
                h.Rejected("xai"),
                h.RetryAsked(),
                h.CancelAsked(),
            ]
        )
    )
    def a_person_asks(self, request_: h.Request) -> None:
        if isinstance(request_, h.Answered):
            request_ = dataclasses.replace(request_, settings=self.snapshot.settings)
        self.happen(request_)

    @rule()
    def time_passes(self) -> None:
        self.at += timedelta(minutes=2)
        self.happen(h.RetryDue(self.at))

    @rule()
    def the_runs_have_ended(self) -> None:
        self.happen(h.RunsEnded())

    @rule(version=st.integers(2, 3))
    def a_newer_version_comes(self, version: int) -> None:
        self.happen(h.Superseded("pl-2", version))

    @invariant()
    def a_stage_and_level_has_one_open_attempt_at_most_and_numbers_without_gaps(self) -> None:
        by_place: dict[tuple[str, str | None], list[Attempt]] = {}
        for one in self.snapshot.attempts:
            by_place.setdefault((one.stage, one.level), []).append(one)
        for attempts in by_place.values():
            assert sum(one.is_open for one in attempts) <= 1
            assert sorted(one.number for one in attempts) == list(range(1, len(attempts) + 1))

    @invariant()
    def an_end_stays_an_end(self) -> None:
        for start, end, happening in self.history:
            if start in TERMINAL and end != start:
                assert start == "failed"
                assert isinstance(happening, h.RetryAsked | h.CancelAsked)

    @invariant()
    def what_has_ended_can_save_nothing_more(self) -> None:
        if self.snapshot.state in ("cancelled", "rejected", "superseded", "completed"):
            assert self.snapshot.open_attempts() == ()

    @invariant()
    def only_what_is_complete_is_called_so(self) -> None:
        if self.snapshot.state == "completed":
            done = {one.level for one in self.snapshot.attempts if one.stage == "xai" and one.state == "done"}
            assert done >= set(self.snapshot.settings.levels)

    @invariant()
    def a_wait_has_an_end(self) -> None:
        assert (self.snapshot.retry_at is not None) == (self.snapshot.state == "retrying")

    def teardown(self) -> None:
        """Whatever happened: when workers succeed, people say yes and every event comes, the pipeline completes."""
        for _ in range(60):
            state = self.snapshot.state
            if state is None or (state in TERMINAL and state != "failed"):
                return
            for event in list(self.events):
                self.happen(event)
            self.time_passes()
            for one in self.snapshot.open_attempts():
                self.snapshot = finish(self.snapshot, one.stage, one.level, "done")
                self.events += {
                    "bias": [h.BiasReported(one.number, "br")],
                    "automl": [h.ModelUploaded(one.number, one.number)],
                    "xai": [h.XaiReported(one.level or "expert", one.number, "xr")],
                }[one.stage]
            for request in (h.Answered(ANSWERS, self.snapshot.settings), h.Approved(), h.RetryAsked()):
                self.happen(request)
        raise AssertionError(f"stuck in {self.snapshot}")


TestAnyCourse = AnyCourse.TestCase
TestAnyCourse.settings = hypothesis_settings(max_examples=150, stateful_step_count=30, deadline=None)
