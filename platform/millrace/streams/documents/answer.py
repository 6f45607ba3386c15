"""The model's text against the schema that its answer must follow."""

import json
import re
from dataclasses import dataclass
from typing import Any

from millrace.contracts.canonical import canonical_json

ANSWER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "summary": {"type": "string", "minLength": 1, "maxLength": 4_000},
        "sentiment": {"enum": ["positive", "neutral", "negative"]},
        "key_points": {"type": "array", "items": {"type": "string"}, "maxItems": 10},
        "risks": {"type": "array", "items": {"type": "string"}, "maxItems": 10},
    },
    "required": ["summary", "sentiment", "key_points", "risks"],
    "additionalProperties": False,
}
"""What is asked of every document."""

_MOST_BEGINNINGS = 20
"""Braces at which an object is looked for: a text of braces must not cost the square of its length."""
_MOST_PROBLEMS = 5
_REFUSALS = re.compile(
    r"\b(?:i(?:['’]m| am) sorry|i apologi[sz]e|i (?:can(?:no|['’])t|am (?:not able|unable) to|won['’]t) "
    r"(?:help|assist|answer|provide|comply|process|analy[sz]e|do|fulfil)|as an ai\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Checked:
    """The answer when there is one, else what is wrong with the text."""

    answer: dict[str, Any] | None
    problems: tuple[str, ...] = ()


def check_answer(text: str, schema: dict[str, Any] = ANSWER_SCHEMA) -> Checked:
    """The first JSON object in the text, where it follows the schema; words and code fences around it are let be."""
    from jsonschema import Draft202012Validator

    found = _first_object(text)
    if found is None:
        return Checked(None, ("there is no JSON object in the answer",))
    try:
        canonical_json(found).encode()
        errors = list(Draft202012Validator(schema).iter_errors(found))
    except UnicodeEncodeError:
        return Checked(None, ("the answer holds half of a surrogate pair",))
    except RecursionError:
        return Checked(None, ("the answer is nested too deeply",))
    if errors:
        told = sorted(f"{error.json_path}: {error.message}"[:300] for error in errors)
        return Checked(None, tuple(told[:_MOST_PROBLEMS]))
    return Checked(found)


def looks_like_refusal(text: str) -> bool:
    """Whether a text that holds no answer begins as models do when they decline."""
    return _REFUSALS.search(text[:400]) is not None


def _first_object(text: str) -> dict[str, Any] | None:
    decoder = json.JSONDecoder(parse_constant=_refuse)
    at = -1
    for _ in range(_MOST_BEGINNINGS):
        at = text.find("{", at + 1)
        if at < 0:
            return None
        try:
            found, _ = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            continue
        return found if isinstance(found, dict) else None
    return None


def _refuse(constant: str) -> None:
    raise ValueError(constant)
