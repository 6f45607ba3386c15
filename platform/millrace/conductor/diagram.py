"""The page docs/pipeline-states.md, drawn from the transitions: `python -m millrace.conductor.diagram PATH`."""

import sys
from pathlib import Path

from millrace.conductor import happenings as h
from millrace.conductor.states import STATES, TERMINAL, State
from millrace.conductor.transitions import TRANSITIONS, possible_requests

_LABELS: dict[type[h.Happening], str] = {
    h.DatasetSeen: "data set stored",
    h.Answered: "answer",
    h.StageStarted: "stage started",
    h.BiasReported: "bias report saved",
    h.ModelUploaded: "model saved",
    h.XaiReported: "explanation saved",
    h.StageFailed: "stage failed",
    h.Approved: "approve",
    h.Rejected: "reject",
    h.RetryDue: "wait over",
    h.RetryAsked: "retry",
    h.CancelAsked: "cancel",
    h.Superseded: "newer version",
    h.RunsEnded: "runs ended",
}
_MEANINGS: dict[State, str] = {
    "waiting_for_answers": "The conductor has proposed target, task type and sensitive columns; a person confirms.",
    "queued": "The trigger of the stage is sent; no run has taken it up yet.",
    "running": "A run works on the stage.",
    "waiting_for_approval": "The stage before is done; a person approves what it left, or rejects.",
    "retrying": "The stage failed in a way that may pass; it is tried again after a wait.",
    "completed": "Every report that was asked for is there.",
    "failed": "The stage failed for good; `retry` begins it again.",
    "rejected": "A person refused to go on.",
    "cancelled": "A person ended the pipeline; its runs are ended and can save nothing more.",
    "superseded": "A newer version of the data set has a pipeline of its own.",
}
_HEAD = """# States of a pipeline

Generated from `millrace/conductor/transitions.py` by `python -m millrace.conductor.diagram docs/pipeline-states.md`.

A pipeline is one version of a data set on its way through the stages bias (with quality), automl and xai. The state
says what happens to it now, `stage` which stage that is about. Events that no arrow leaves the present state for change
nothing; requests that none leaves for are refused with what is possible.
"""


def mermaid() -> str:
    """The state diagram; one arrow per pair of states, labelled with everything that leads along it."""
    arrows: dict[tuple[State | None, State], list[str]] = {}
    for transition in TRANSITIONS:
        for start in transition.from_states:
            for end in transition.to_states:
                labels = arrows.setdefault((start, end), [])
                label = _LABELS[transition.happening]
                if label not in labels:
                    labels.append(label)
    lines = ["stateDiagram-v2"]
    lines += [f"    {start or '[*]'} --> {end}: {', '.join(labels)}" for (start, end), labels in arrows.items()]
    lines += [f"    {state} --> [*]" for state in STATES if state in TERMINAL]
    return "\n".join(lines)


def page() -> str:
    """The whole page as Markdown."""
    rows = ["| state | meaning | requests |", "|---|---|---|"]
    for state in STATES:
        requests = ", ".join(f"`{name}`" for name in possible_requests(state)) or "none"
        rows.append(f"| `{state}` | {_MEANINGS[state]} | {requests} |")
    return f"{_HEAD}\n```mermaid\n{mermaid()}\n```\n\n" + "\n".join(rows) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
