"""A document as it comes over Kafka."""

import json
from typing import Any, Never

from pydantic import ValidationError

from millrace.contracts.documents import FinancialDocument
from millrace.contracts.errors import BadInput
from millrace.kafka.records import Record


def read_document(record: Record) -> FinancialDocument:
    """The document in a message; without an id of its own it has the message's key for one.

    Raises:
        BadInput: the message holds no document; names the field.
    """
    value = _json_object(record.value)
    if not {"document_id", "doc_id", "id"} & value.keys() and record.key:
        value["document_id"] = record.key.decode("utf-8", "backslashreplace")
    try:
        document = FinancialDocument.model_validate(value)
        "".join((document.document_id, document.document_type, document.title, document.text)).encode()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(map(str, first["loc"]))[:100] or "payload"
        raise BadInput(f"field {field}: {first['msg']}", field=field, remedy=_REMEDY) from error
    except UnicodeEncodeError as error:
        raise BadInput("the text holds half of a surrogate pair", field="text", remedy=_REMEDY) from error
    if not document.text.strip():
        raise BadInput("field text: there is nothing in it", field="text", remedy=_REMEDY)
    return document


def _json_object(payload: bytes) -> dict[str, Any]:
    try:
        value = json.loads(payload.decode("utf-8-sig"), parse_constant=_refuse)
    except UnicodeDecodeError as error:
        raise BadInput(f"not UTF-8 at byte {error.start}", field="payload", remedy=_REMEDY) from error
    except RecursionError as error:
        raise BadInput("nested too deeply", field="payload", remedy=_REMEDY) from error
    except ValueError as error:
        raise BadInput(f"not JSON: {error}", field="payload", remedy=_REMEDY) from error
    if not isinstance(value, dict):
        raise BadInput(f"a JSON {type(value).__name__} instead of an object", field="payload", remedy=_REMEDY)
    return value


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is no JSON value")


_REMEDY = "send a JSON object in UTF-8 with document_id and text, and document_type and title where there are any"
