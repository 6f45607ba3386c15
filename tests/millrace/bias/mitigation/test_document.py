"""The JSON twin of a mitigation keeps to its published schema."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from millrace.bias.document import schema_text
from millrace.bias.mitigation.document import FILE, MitigationDocument
from millrace.bias.mitigation.names import METHODS
from millrace.bias.mitigation.report import mitigate
from millrace.bias.origin import software
from millrace.contracts.canonical import sha256_json

SCHEMA = Draft202012Validator(json.loads(FILE.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def documents(plant) -> dict[str, dict[str, Any]]:
    found = {}
    for name, methods, how in (
        ("usable", METHODS, {}),
        ("one method cannot be used", ("correlation-remover",), {"sensitive_columns": ()}),
    ):
        planted = plant(rows=1_000, **how)
        report = mitigate(methods, planted.problem, planted.holdout, attribute="sex").report
        origin = {"report_hash": report.report_hash, "input": {"sha256": "ab" * 32}, "software": software()}
        found[name] = json.loads(json.dumps({**report.document(), **origin}, allow_nan=False))
    return found


def test_the_checked_in_schema_is_up_to_date() -> None:
    wanted = schema_text(MitigationDocument, "mitigation-report")
    assert FILE.read_text(encoding="utf-8") == wanted, "run `python -m millrace.bias.mitigation.document`"


@pytest.mark.parametrize("name", ["usable", "one method cannot be used"])
def test_every_document_keeps_to_the_schema_and_reads_back_as_it_was(documents, name: str) -> None:
    document = documents[name]
    assert [error.message for error in SCHEMA.iter_errors(document)] == []
    read = MitigationDocument.model_validate(document).model_dump(mode="json", exclude_unset=True)
    assert {one: read[one] for one in ("scope", "recommendation", "warnings", "policy")} == {
        one: document[one] for one in ("scope", "recommendation", "warnings", "policy")
    }


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("results", 0, "gaps", 0, "before", "value"), "0.8"),
        (("results", 0, "gaps", 0, "direction"), "better"),
        (("results", 0, "method"), "prayer"),
        (("scope", "train_rows"), None),
        (("recommendation", "method"), "everything"),
        (("format",), 1),
        (("surprise",), 1),
    ],
)
def test_the_schema_refuses_what_a_reader_would_stumble_over(documents, place, value: object) -> None:
    document = json.loads(json.dumps(documents["usable"]))
    at: Any = document
    for part in place[:-1]:
        at = at[part]
    at[place[-1]] = value
    assert list(SCHEMA.iter_errors(document))


def test_the_hash_is_of_everything_but_the_origin(documents) -> None:
    document = dict(documents["usable"])
    origin = {name: document.pop(name) for name in ("report_hash", "input", "software")}
    assert origin["report_hash"] == sha256_json(document)
