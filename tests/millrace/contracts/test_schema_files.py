import json
from pathlib import Path

import pytest

from millrace.contracts.events import EVENTS, AutomlTrigger
from millrace.contracts.schema_files import FOLDER, PAYLOADS, Payload, file_name, stale_files, write_files


def test_the_checked_in_schemas_are_up_to_date():
    assert stale_files() == [], "run `python -m millrace.contracts.schema_files`"


def test_a_schema_that_differs_is_missing_or_is_of_no_payload_is_found_and_mended(tmp_path: Path):
    assert len(write_files(tmp_path)) == len(PAYLOADS)
    assert stale_files(tmp_path) == []
    changed, missing = tmp_path / file_name(EVENTS[0]), tmp_path / file_name(EVENTS[1])
    changed.write_text("{}")
    missing.unlink()
    (tmp_path / "old-events.schema.json").write_text("{}")
    assert stale_files(tmp_path) == sorted([changed.name, missing.name, "old-events.schema.json"])
    write_files(tmp_path)
    assert stale_files(tmp_path) == []


@pytest.mark.parametrize("event", PAYLOADS, ids=lambda event: event.__name__)
def test_a_schema_names_every_field_and_allows_others(event: Payload):
    schema = json.loads((FOLDER / file_name(event)).read_text())
    assert set(schema["properties"]) == set(event.model_fields)
    assert schema.get("additionalProperties", True) is True


def test_the_time_budget_is_a_string_in_the_schema():
    schema = json.loads((FOLDER / file_name(AutomlTrigger)).read_text())
    assert schema["properties"]["time_budget"]["type"] == "string"
