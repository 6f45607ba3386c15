"""Every setting with the sentence that its source has for it."""

import ast
import inspect
from typing import Any

from pydantic import AliasChoices

from millrace.settings import Settings


def explained() -> list[dict[str, str]]:
    """variable, default and sentence of each setting, in the order of the source."""
    sentences = _sentences()
    rows = []
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        variable = ", ".join(map(str, alias.choices)) if isinstance(alias, AliasChoices) else str(alias)
        default: Any = field.default
        rows.append(
            {"variable": variable, "default": "" if default is None else str(default), "says": sentences.get(name, "")}
        )
    return rows


def _sentences() -> dict[str, str]:
    (settings,) = ast.parse(inspect.getsource(Settings)).body
    assert isinstance(settings, ast.ClassDef)
    found = {}
    for one, following in zip(settings.body, settings.body[1:], strict=False):
        if (
            isinstance(one, ast.AnnAssign)
            and isinstance(one.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
        ):
            found[one.target.id] = str(following.value.value)
    return found
