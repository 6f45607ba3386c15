"""Proposals from the profile alone: ranked, with reasons, in several languages."""

import pytest

from millrace.conductor.hints import Hint, favourable, sensitive_hint
from millrace.conductor.proposals import propose, propose_for
from millrace.warehouse.profile import ColumnProfile, Profile, ValueCount


def column(name: str, type_: str = "text", *, values: dict[str, int] | None = None, distinct: int | None = None,
           nulls: int = 0) -> ColumnProfile:  # fmt: skip
    counted = values or {}
    return ColumnProfile(
        name=name,
        type=type_,
        null_count=nulls,
        distinct_count=len(counted) if distinct is None else distinct,
        top=tuple(ValueCount(value=value, count=count) for value, count in counted.items()),
    )


def table(*columns: ColumnProfile, rows: int = 1000) -> Profile:
    return Profile(columns=columns, row_count=rows, duplicate_rows=0)


YES_NO = {"no": 800, "yes": 200}
BANK = table(
    column("age", "integer", distinct=77),
    column("job", distinct=12, values={"admin": 500, "services": 400}),
    column("marital", values={"married": 600, "single": 400}),
    column("education", values={"primary": 300, "secondary": 500, "tertiary": 200}),
    column("default", values={"no": 980, "yes": 20}),
    column("balance", "integer", distinct=700),
    column("y", values=YES_NO),
)
CREDIT = table(
    column("LIMIT_BAL", "integer", distinct=81),
    column("SEX", "integer", values={"2": 600, "1": 400}),
    column("EDUCATION", "integer", distinct=7, values={"2": 470, "1": 350, "3": 160}),
    column("MARRIAGE", "integer", distinct=4, values={"2": 530, "1": 450}),
    column("AGE", "integer", distinct=56),
    column("PAY_0", "integer", distinct=11),
    column("default payment", "integer", values={"0": 779, "1": 221}),
)


def test_the_bank_table_is_understood():
    proposals = propose(BANK)
    assert [one.value for one in proposals.target][:2] == ["y", "default"]
    assert proposals.answers is not None
    assert (proposals.answers.target, proposals.answers.task_type, proposals.answers.positive) == (
        "y", "classification", "yes",
    )  # fmt: skip
    assert set(proposals.answers.sensitive) == {"age", "marital", "education"}
    assert proposals.doubts == ()


def test_in_a_column_that_names_something_unwanted_no_is_the_favourable_value():
    proposals = propose(CREDIT)
    assert proposals.answers is not None
    assert (proposals.answers.target, proposals.answers.positive) == ("default payment", "0")
    assert "unwanted ('default')" in proposals.positive[0].reason
    assert set(proposals.answers.sensitive) == {"SEX", "AGE", "MARRIAGE", "EDUCATION"}


def test_every_candidate_has_a_reason_and_a_confidence_and_comes_ranked():
    for proposals in (propose(BANK), propose(CREDIT)):
        for candidates in (proposals.target, proposals.task_type, proposals.positive, proposals.sensitive):
            assert candidates
            assert [one.confidence for one in candidates] == sorted(
                (one.confidence for one in candidates), reverse=True
            )
            assert all(one.reason for one in candidates)
        assert set(proposals.by_target) == {one.value for one in proposals.target}


def test_proposals_survive_the_database():
    proposals = propose(BANK)
    assert type(proposals).model_validate(proposals.model_dump(mode="json")) == proposals


@pytest.mark.parametrize(
    ("target", "task"),
    [
        (column("price", "number", distinct=900), "regression"),
        (column("grade", "integer", distinct=5, values={"1": 1}), "classification"),
        (column("score", "integer", distinct=400), "regression"),
        (column("outcome", "boolean", values={"true": 1, "false": 1}), "classification"),
        (column("species", distinct=3, values={"a": 1, "b": 1, "c": 1}), "classification"),
        (column("flag", "number", values={"0.0": 1, "1.0": 1}), "classification"),
    ],
)
def test_the_task_follows_from_type_and_distinct_values(target: ColumnProfile, task: str):
    assert propose_for(table(column("x", "number", distinct=1000), target), target.name).task_type[0].value == task


def test_identifiers_constants_dates_and_empty_columns_are_no_targets():
    profile = table(
        column("customer_id", "integer", distinct=1000),
        column("target", distinct=1, values={"a": 1000}),
        column("label", distinct=0, nulls=1000),
        column("date", "date", distinct=200),
        column("outcome_group", values={"a": 500, "b": 500}),
    )
    proposals = propose(profile)
    assert [one.value for one in proposals.target] == ["outcome_group", "customer_id"]
    assert "identifier" in proposals.target[1].reason
    assert proposals.target[1].confidence < 0.1


def test_a_table_without_a_possible_target_says_so():
    proposals = propose(table(column("a", distinct=1, values={"x": 1000}), column("when", "date", distinct=9)))
    assert proposals.answers is None
    assert "no column can be a target" in proposals.doubts[0]


def test_doubts_say_what_is_uncertain():
    doubts = propose(table(column("a", values={"p": 1, "q": 1}), column("b", values={"r": 2, "s": 1}))).doubts
    assert any("target is uncertain" in one for one in doubts)
    assert any("uncertain which value" in one for one in doubts)
    twins = propose(table(column("target", values=YES_NO), column("label", values=YES_NO), column("x"))).doubts
    assert any("equally likely" in one for one in twins)


@pytest.mark.parametrize(
    "name",
    [
        "sex", "Gender", "GESCHLECHT", "genre", "race", "ethnicGroup", "Rasse", "age", "Alter", "âge", "date_of_birth",
        "Geburtsdatum", "marital-status", "MaritalStatus", "Familienstand", "religion", "nationality",
        "Staatsangehörigkeit", "native-country", "disability", "Behinderung", "education", "foreign_worker",
    ],
)  # fmt: skip
def test_sensitive_columns_are_found_by_their_names_in_several_languages(name: str):
    hint = sensitive_hint(name)
    assert hint is not None
    assert hint.weight >= 0.6
    assert hint.reason


@pytest.mark.parametrize("name", ["mileage", "page", "percentage", "message", "essex", "usage", "storage", "average"])
def test_a_hint_inside_another_word_is_none(name: str):
    assert sensitive_hint(name) is None


def test_a_column_name_is_taken_apart_into_words():
    assert Hint.words("DateOfBirth") == ("date", "of", "birth")
    assert Hint.words("  Größe (cm) ") == ("grosse", "cm")
    assert Hint.words("№§$") == ("no",)


@pytest.mark.parametrize(
    ("value", "adverse", "hoped"),
    [
        ("yes", False, True), ("yes", True, False), ("0", True, True), ("1", False, True), ("Approved", True, True),
        ("good", True, True), ("Fully Paid", False, True), ("Charged Off", False, False), (">50K", False, True),
        ("<=50K.", False, False), ("blue", False, None), ("", False, None),
    ],
)  # fmt: skip
def test_values_that_people_hope_for(value: str, adverse: bool, hoped: bool | None):
    assert favourable(value, adverse=adverse) is hoped
