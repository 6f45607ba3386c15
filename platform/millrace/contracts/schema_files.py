"""JSON Schema files of every payload, from the Pydantic models: `python -m millrace.contracts.schema_files`."""

import json
import sys
from pathlib import Path

from millrace.contracts.documents import FinancialDocument, LlmResult
from millrace.contracts.events import EVENTS, Event
from millrace.contracts.scoring import RawEvent, ScoredEvent
from millrace.contracts.topics import Topics

FOLDER = Path(__file__).parent / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

Payload = type[Event] | type[RawEvent] | type[ScoredEvent] | type[FinancialDocument] | type[LlmResult]
PAYLOADS: tuple[Payload, ...] = (*EVENTS, RawEvent, ScoredEvent, FinancialDocument, LlmResult)


def file_name(event: Payload) -> str:
    """Name of the payload's schema file: its topic's default name, such as `bias-events.schema.json`."""
    topic: str = getattr(Topics(), event.topic_field)
    return f"{topic}.schema.json"


def schema_text(event: Payload) -> str:
    """The payload's JSON Schema as the file holds it: what is sent, with fields we do not know allowed."""
    schema = event.model_json_schema(mode="serialization")
    document = {"$schema": DIALECT, "$id": f"millrace:{file_name(event).removesuffix('.schema.json')}", **schema}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def stale_files(folder: Path = FOLDER) -> list[str]:
    """Names of schema files that are missing, out of date or of no payload; empty when all is well."""
    wanted = {file_name(event): schema_text(event) for event in PAYLOADS}
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.schema.json")}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


def write_files(folder: Path = FOLDER) -> list[str]:
    """Brings the folder up to date; gives the names of files that changed."""
    changed = stale_files(folder)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {file_name(event): schema_text(event) for event in PAYLOADS}
    for name in changed:
        if name in wanted:
            (folder / name).write_text(wanted[name], encoding="utf-8")
        else:
            (folder / name).unlink()
    return changed


if __name__ == "__main__":
    sys.stdout.write("".join(f"{name}\n" for name in write_files()))
