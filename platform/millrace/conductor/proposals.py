"""What the conductor proposes for a data set, from its profile: ranked, each with a reason and a confidence."""

from typing import get_args

from pydantic import BaseModel, ConfigDict, Field

from millrace.conductor.hints import Hint, adverse_hint, favourable, sensitive_hint, target_hint
from millrace.contracts.stages import TaskType
from millrace.contracts.task import Answers
from millrace.warehouse.profile import ColumnProfile, Profile

SHOWN_TARGETS = 5
"""Candidates that a person can look over; more are noise."""
MIN_TARGET, MIN_TASK, MIN_POSITIVE, MIN_SENSITIVE = 0.6, 0.6, 0.5, 0.6
"""Confidence from which autopilot takes a proposal without asking."""
FEW_CLASSES = 20
"""Whole numbers with at most so many distinct values are read as classes rather than as a quantity."""


class Candidate(BaseModel):
    """One possible answer. `value` None means that none is."""

    model_config = ConfigDict(frozen=True)

    value: str | None
    confidence: float = Field(ge=0, le=1)
    reason: str


class TargetProposal(BaseModel):
    """What follows when this column is the target."""

    model_config = ConfigDict(frozen=True)

    task_type: tuple[Candidate, ...]
    positive: tuple[Candidate, ...]


class Proposals(BaseModel):
    """Ranked candidates; `task_type` and `positive` are those of the first target, `by_target` has the others'."""

    model_config = ConfigDict(frozen=True)

    target: tuple[Candidate, ...] = ()
    task_type: tuple[Candidate, ...] = ()
    positive: tuple[Candidate, ...] = ()
    sensitive: tuple[Candidate, ...] = ()
    by_target: dict[str, TargetProposal] = Field(default_factory=dict)
    answers: Answers | None = None
    """The first candidates taken together; None when no column can be a target."""
    doubts: tuple[str, ...] = ()
    """Why these answers need a person; empty when autopilot may take them."""


def propose(profile: Profile) -> Proposals:
    """The candidates for target, task type, positive value and sensitive columns."""
    ranked = _targets(profile)
    sensitive = _sensitive(profile)
    by_target = {str(one.value): propose_for(profile, str(one.value)) for one in ranked}
    if not ranked:
        return Proposals(sensitive=sensitive, doubts=("no column can be a target: each is constant, empty or a date",))
    first = ranked[0]
    following = by_target[str(first.value)]
    answers = _answers(str(first.value), following, sensitive)
    return Proposals(
        target=ranked,
        task_type=following.task_type,
        positive=following.positive,
        sensitive=sensitive,
        by_target=by_target,
        answers=answers,
        doubts=tuple(_doubts(ranked, following)),
    )


def propose_for(profile: Profile, target: str) -> TargetProposal:
    """Task type and positive value for a target that is given.

    Raises:
        KeyError: there is no such column.
    """
    column = {one.name: one for one in profile.columns}[target]
    tasks = _task_types(column, profile.row_count)
    positive = _positive(column) if tasks[0].value == "classification" else ()
    return TargetProposal(task_type=tasks, positive=positive)


def sensitive_columns(proposals: Proposals, target: str) -> tuple[str, ...]:
    """Columns that are proposed as sensitive with enough confidence, without the target."""
    return tuple(
        one.value
        for one in proposals.sensitive
        if one.value is not None and one.confidence >= MIN_SENSITIVE and one.value != target
    )


def _answers(target: str, following: TargetProposal, sensitive: tuple[Candidate, ...]) -> Answers:
    task_type: TaskType = "regression" if following.task_type[0].value == "regression" else "classification"
    positive = following.positive[0].value if following.positive else None
    chosen = sensitive_columns(Proposals(sensitive=sensitive), target)
    return Answers(target=target, task_type=task_type, positive=positive, sensitive=chosen)


def _doubts(ranked: tuple[Candidate, ...], following: TargetProposal) -> list[str]:
    doubts = []
    first, task = ranked[0], following.task_type[0]
    if first.confidence < MIN_TARGET:
        doubts.append(f"the target is uncertain ({first.value!r}, confidence {first.confidence:.2f})")
    elif len(ranked) > 1 and first.confidence - ranked[1].confidence < 0.05:
        doubts.append(f"{first.value!r} and {ranked[1].value!r} are equally likely targets")
    if task.confidence < MIN_TASK:
        doubts.append(f"the task type is uncertain ({task.value}, confidence {task.confidence:.2f})")
    if following.positive and following.positive[0].confidence < MIN_POSITIVE:
        doubts.append(f"it is uncertain which value of {first.value!r} is favourable")
    return doubts


def _targets(profile: Profile) -> tuple[Candidate, ...]:
    last = len(profile.columns) - 1
    scored = []
    for position, column in enumerate(profile.columns):
        if not _can_be_target(column, profile.row_count):
            continue
        scored.append(_target(column, profile.row_count, is_last=position == last))
    scored.sort(key=lambda one: (-one.confidence, str(one.value)))
    return tuple(scored[:SHOWN_TARGETS])


def _can_be_target(column: ColumnProfile, rows: int) -> bool:
    return column.distinct_count >= 2 and column.null_count < rows and column.type not in ("date", "timestamp")


def _target(column: ColumnProfile, rows: int, *, is_last: bool) -> Candidate:
    score, reasons = 0.1, []
    hint = target_hint(column.name)
    if hint is not None:
        score += hint.weight
        reasons.append(hint.reason)
    if is_last:
        score += 0.15
        reasons.append("it is the last column")
    if column.distinct_count == 2:
        score += 0.2
        reasons.append("it has two values")
    elif column.distinct_count <= FEW_CLASSES:
        score += 0.1
        reasons.append(f"it has only {column.distinct_count} distinct values")
    elif column.type == "text":
        score -= 0.4
        reasons.append(f"but it is text with {column.distinct_count} distinct values")
    if _is_id_like(column, rows):
        score -= 0.6
        reasons.append("but it looks like an identifier")
    if sensitive_hint(column.name) is not None:
        score -= 0.3
        reasons.append("but it describes a person")
    if column.null_count:
        score -= 0.2 * column.null_count / rows
        reasons.append(f"though {column.null_count} values are missing")
    reason = "; ".join(reasons) or "nothing speaks against it"
    return Candidate(value=column.name, confidence=round(min(max(score, 0.01), 0.99), 2), reason=reason)


def _is_id_like(column: ColumnProfile, rows: int) -> bool:
    words = Hint.words(column.name)
    named = bool({"id", "uuid", "guid", "key", "index", "nr", "number"} & set(words))
    unique = rows > FEW_CLASSES and column.distinct_count == rows and column.type in ("integer", "text")
    return unique or (named and column.distinct_count > 0.5 * rows)


def _task_types(column: ColumnProfile, rows: int) -> tuple[Candidate, ...]:
    confidence, reason = _classification_confidence(column, rows)
    classification = Candidate(value=get_args(TaskType)[0], confidence=confidence, reason=reason)
    if column.type not in ("integer", "number"):
        return (classification,)
    regression = Candidate(
        value=get_args(TaskType)[1],
        confidence=round(1 - confidence, 2),
        reason=f"{column.name!r} is numeric with {column.distinct_count} distinct values",
    )
    return tuple(sorted((classification, regression), key=lambda one: -one.confidence))


def _classification_confidence(column: ColumnProfile, rows: int) -> tuple[float, str]:
    distinct = column.distinct_count
    if column.type in ("boolean", "text"):
        return 0.98, f"{column.name!r} is {column.type} with {distinct} distinct values"
    if distinct == 2:
        return 0.95, f"{column.name!r} has two values"
    few = distinct <= FEW_CLASSES and distinct <= max(2, rows // 10)
    if few:
        whole = column.type == "integer"
        confidence = (0.9 if distinct <= 10 else 0.65) if whole else 0.4
        return confidence, f"{column.name!r} has only {distinct} distinct values"
    return 0.05, f"{column.name!r} would have {distinct} classes"


def _positive(column: ColumnProfile) -> tuple[Candidate, ...]:
    adverse = adverse_hint(column.name)
    judged = [(one.value, favourable(one.value, adverse=adverse is not None)) for one in column.top]
    if any(hoped for _, hoped in judged):
        ranked = [one for one in judged if one[1]] + [one for one in judged if one[1] is False]
        return tuple(
            Candidate(
                value=value,
                confidence=0.8 if hoped else 0.2,
                reason=_polarity(column.name, value, adverse, hoped=bool(hoped)),
            )
            for value, hoped in ranked
        )
    if column.distinct_count > 2:
        return (Candidate(value=None, confidence=0.6, reason=f"no value of {column.name!r} is known to be favourable"),)
    rarer = min(column.top, key=lambda one: one.count)
    return (
        Candidate(
            value=rarer.value,
            confidence=0.3,
            reason=f"{rarer.value!r} is the rarer value; nothing tells which one is favourable",
        ),
    )


def _polarity(name: str, value: str, adverse: str | None, *, hoped: bool) -> str:
    side = "favourable" if hoped else "unfavourable"
    because = f", because {name!r} names something unwanted ({adverse!r})" if adverse is not None else ""
    return f"{value!r} is the {side} value{because}"


def _sensitive(profile: Profile) -> tuple[Candidate, ...]:
    found = []
    for column in profile.columns:
        hint = sensitive_hint(column.name)
        if hint is not None and column.distinct_count >= 2:
            found.append(Candidate(value=column.name, confidence=hint.weight, reason=hint.reason))
    found.sort(key=lambda one: -one.confidence)
    return tuple(found)
