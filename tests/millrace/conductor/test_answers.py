"""Answers that cannot work on the data are refused before anything runs, with the field and the remedy."""

import pytest

from millrace.conductor.answers import GivenAnswers, checked_answers, complete, near_names
from millrace.conductor.proposals import propose
from millrace.contracts.errors import BadInput
from millrace.contracts.task import Answers
from millrace.warehouse.profile import ColumnProfile, Profile, ValueCount


def column(name: str, type_: str, distinct: int, *, nulls: int = 0, top: tuple[str, ...] = ()) -> ColumnProfile:
    counts = tuple(ValueCount(value=value, count=10) for value in top)
    return ColumnProfile(name=name, type=type_, null_count=nulls, distinct_count=distinct, top=counts)


PROFILE = Profile(
    columns=(
        column("sex", "text", 2, top=("f", "m")),
        column("age", "integer", 60),
        column("income", "number", 9_000),
        column("code", "text", 10_000),
        column("region", "text", 16, top=("n", "s", "e", "w")),
        column("empty", "text", 0, nulls=20_000),
        column("same", "text", 1, top=("x",)),
        column("when", "date", 300),
        column("flag", "boolean", 2, top=("true", "false")),
        column("score", "number", 2, top=("0.0", "1.0")),
        column("approved", "text", 2, top=("yes", "no")),
    ),
    row_count=20_000,
    duplicate_rows=0,
)


def refused(**answers: object) -> BadInput:
    with pytest.raises(BadInput) as caught:
        checked_answers(Answers.model_validate({"task_type": "classification", **answers}), PROFILE)
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    ("answers", "field", "message"),
    [
        ({"target": "aproved"}, "target", "no column 'aproved'; did you mean 'approved'?"),
        ({"target": "APPROVED"}, "target", "did you mean 'approved'?"),
        ({"target": "zzz"}, "target", "no column 'zzz'"),
        ({"target": "empty"}, "target", "no values"),
        ({"target": "same"}, "target", "one value only ('x')"),
        ({"target": "code"}, "target", "10000 classes"),
        ({"target": "income"}, "task_type", "9000 classes"),
        ({"target": "when"}, "target", "is a date"),
        ({"target": "sex", "task_type": "regression"}, "task_type", "regression needs numbers"),
        ({"target": "flag", "task_type": "regression"}, "task_type", "regression needs numbers"),
        ({"target": "income", "task_type": "regression", "positive": "1"}, "positive", "no positive value"),
        ({"target": "approved", "positive": "maybe"}, "positive", "'maybe' is no value"),
        ({"target": "approved", "sensitive": ["sexx"]}, "sensitive", "did you mean 'sex'?"),
        ({"target": "approved", "sensitive": ["approved"]}, "sensitive", "is the target itself"),
        ({"target": "approved", "sensitive": ["sex", "sex"]}, "sensitive", "named twice"),
    ],
)
def test_what_cannot_work_is_refused_by_field(answers: dict[str, object], field: str, message: str):
    error = refused(**answers)
    assert (error.field, error.exit_code, error.status) == (field, 2, 422)
    assert message in error.message


def test_the_remedy_lists_the_values_and_the_columns():
    assert "'yes', 'no'" in (refused(target="approved", positive="maybe").remedy or "")
    assert "sex, age, income" in (refused(target="zzz").remedy or "")
    assert "regression" in (refused(target="income").remedy or "")


def test_the_positive_value_is_written_as_the_data_has_it():
    def positive(target: str, value: str) -> str | None:
        return checked_answers(Answers(target=target, task_type="classification", positive=value), PROFILE).positive

    assert positive("approved", "Yes ") == "yes"
    assert positive("flag", "True") == "true"
    assert positive("score", "1") == "1.0"
    # the profile lists the commonest values only, so another one may exist
    assert positive("region", "nw") == "nw"


def test_a_table_without_rows_is_refused():
    empty = Profile(columns=(column("a", "text", 0), column("b", "text", 0)), row_count=0, duplicate_rows=0)
    with pytest.raises(BadInput, match="no rows"):
        checked_answers(Answers(target="a", task_type="classification"), empty)


def test_what_a_person_leaves_out_comes_from_the_proposal_for_their_target():
    proposals = propose(PROFILE)

    def completed(**given: object) -> Answers:
        return complete(GivenAnswers.model_validate(given), profile=PROFILE, proposals=proposals)

    assert completed() == proposals.answers
    assert completed(target="income").task_type == "regression"
    assert completed(target="income").positive is None
    assert completed(target="flag").positive == "true"
    assert completed(target="flag", positive=None).positive is None
    assert completed(target="sex").sensitive == ("age",)
    assert completed(sensitive=()).sensitive == ()
    with pytest.raises(BadInput, match="no column"):
        completed(target="nothing")


def test_near_names_come_nearest_first_and_none_when_none_is_near():
    assert near_names("targt", ["target", "targets", "other"])[0] == "target"
    assert near_names("qqqq", ["target", "other"]) == []
