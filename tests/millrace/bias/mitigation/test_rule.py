"""What a policy may ask for, when it asks, and that it cannot ask for what cannot be had."""

from typing import Any

import pytest
from pydantic import ValidationError

from millrace.bias.mitigation.methods import DESCRIPTIONS
from millrace.bias.mitigation.rule import MitigationRule
from millrace.bias.policy import Policy, shipped_policy

WHY = {"source": "what can be done should be known"}


def _rule(**said: Any) -> MitigationRule:
    return MitigationRule.model_validate({**WHY, **said})


@pytest.mark.parametrize(
    ("when", "asked"),
    [("fail", ["fail"]), ("not-pass", ["fail", "inconclusive", "not assessable"])],
)
def test_a_rule_asks_after_the_verdicts_it_names_and_never_without_one(when: str, asked: list[str]) -> None:
    rule = _rule(when=when)
    verdicts: tuple[Any, ...] = ("fail", "inconclusive", "not assessable", "pass", None)
    assert [one for one in verdicts if rule.asks(one)] == asked


def test_of_the_shipped_policies_the_one_that_holds_back_asks_and_the_others_do_not() -> None:
    strict = shipped_policy("strict").mitigation
    assert strict is not None
    assert (strict.when, strict.aim, strict.candidate) == ("fail", "demographic-parity", "recommended")
    assert shipped_policy("four-fifths").mitigation is None
    assert shipped_policy("nyc-ll144").mitigation is None


def test_the_models_that_may_be_named_as_candidate_are_those_that_can_be_kept() -> None:
    for method, about in DESCRIPTIONS.items():
        if about.kept:
            assert _rule(candidate=method).candidate == method
        else:
            with pytest.raises(ValidationError):
                _rule(candidate=method)


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ({"methods": ["prayer"]}, "methods"),
        ({"methods": []}, "methods"),
        ({"aim": "justice"}, "aim"),
        ({"when": "always"}, "when"),
        ({"methods": ["reweighing"], "candidate": "correlation-remover"}, "not among the methods"),
        ({"attributes": [""]}, "attributes"),
        ({"source": ""}, "source"),
        ({"rounds": 3}, "rounds"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(said: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationError, match=place):
        Policy.model_validate({**shipped_policy().model_dump(), "mitigation": {**WHY, **said}})


def test_the_rule_is_part_of_the_policys_hash_and_document() -> None:
    usual = shipped_policy()
    asking = Policy.model_validate({**usual.model_dump(), "mitigation": WHY})
    assert asking.sha256 != usual.sha256
    assert usual.document()["mitigation"] is None
    assert asking.document()["mitigation"] == asking.mitigation.model_dump(mode="json")  # type: ignore[union-attr]
