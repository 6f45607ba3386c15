"""Writes the table of settings into the operator guide, from the settings' own sentences; `--check` only compares."""

import ast
import itertools
import sys
from pathlib import Path
from typing import Any

from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from millrace import settings

GUIDE = Path(__file__).parent / "operator-guide.md"
BEGIN, END = "<!-- settings: begin -->", "<!-- settings: end -->"


def table() -> str:
    """The Markdown table: variables, default, sentence."""
    sentences = _sentences()
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in settings.Settings.model_fields.items():
        variables = ", ".join(f"`{one}`" for one in _variables(field))
        lines.append(f"| {variables} | {_default(field.default)} | {sentences[name]} |")
    return "\n".join(lines)


def rendered(guide: str) -> str:
    """The guide with the table between its markers."""
    before, rest = guide.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


def _variables(field: FieldInfo) -> list[str]:
    if field.alias is not None:
        return [field.alias]
    alias = field.validation_alias
    return [str(one) for one in alias.choices] if isinstance(alias, AliasChoices) else [str(alias)]


def _default(value: Any) -> str:
    return "" if value is None else f"`{value}`"


def _sentences() -> dict[str, str]:
    tree = ast.parse(Path(settings.__file__).read_text(encoding="utf-8"))
    (body,) = [node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings"]
    return {
        before.target.id: str(after.value.value)
        for before, after in itertools.pairwise(body)
        if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name)
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
    }


def main() -> int:
    """0, or 1 when `--check` finds the guide out of date."""
    before = GUIDE.read_text(encoding="utf-8")
    after = rendered(before)
    if "--check" in sys.argv:
        return int(before != after)
    GUIDE.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
