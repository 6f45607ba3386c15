"""What the documents show is there: commands, options, targets, variables, routes, files, figures."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def _shown() -> Iterator[tuple[str, str]]:
    """(document, line) of every line of code in the documents."""
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        name = str(path.relative_to(ROOT))
        for language, block in _FENCED.findall(text):
            if language in ("bash", ""):
                yield from ((name, line.strip()) for line in block.replace("\\\n", " ").splitlines())
        yield from ((name, line) for line in _INLINE.findall(_FENCED.sub("", text)))


def _commands(program: str) -> list[tuple[str, str]]:
    found = dict.fromkeys(
        (name, line.removeprefix(".venv/bin/"))
        for name, line in _shown()
        if line.removeprefix(".venv/bin/").startswith(f"{program} ") and "…" not in line and " | " not in line
    )
    return list(found)


@cache
def _command_tree() -> Any:
    import typer

    from millrace.cli.main import app

    return typer.main.get_command(app)


@pytest.mark.parametrize(("document", "line"), _commands("millrace"))
def test_every_command_shown_is_a_command_with_these_options(document: str, line: str) -> None:
    words = shlex.split(line)[1:]
    command, path = _command_tree(), []
    while words and words[0] in getattr(command, "commands", {}):
        path.append(words.pop(0))
        command = command.commands[path[-1]]
    # a group may have a command that needs no name
    if words and hasattr(command, "default"):
        command = command.commands[command.default]
    assert not hasattr(command, "commands"), f"{document} shows {line!r}, which names no command"
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help"}
    assert {word.partition("=")[0] for word in words if word.startswith("-")} <= known, f"{document}: {line}"
    takes = [one for one in command.params if one.param_type_name == "argument"]
    assert takes or not [word for word in words[:1] if not word.startswith("-")], f"{document}: {line}"


def test_the_documents_show_every_group_of_commands() -> None:
    shown = {line.split()[1] for _, line in _commands("millrace")}
    assert set(_command_tree().commands) <= shown


@pytest.mark.parametrize("group", sorted(_command_tree().commands))
def test_help_works_for_every_command(group: str) -> None:
    from typer.testing import CliRunner

    from millrace.cli.main import app  # isort: skip

    command = _command_tree().commands[group]
    for path in [[group], *([group, one] for one in getattr(command, "commands", {}))]:
        done = CliRunner().invoke(app, [*path, "--help"])
        assert done.exit_code == 0, done.output


@pytest.mark.parametrize(("document", "line"), _commands("make"))
def test_every_make_target_shown_is_a_target(document: str, line: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = {word for word in shlex.split(line)[1:] if "=" not in word}
    assert named <= targets, f"{document} shows {line!r}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(path: Path) -> None:
    text = _FENCED.sub("", path.read_text(encoding="utf-8"))
    for link in _LINK.findall(text):
        if not re.match(r"[a-z]+:", link):
            assert (path.parent / link.partition("#")[0]).exists(), f"{link} in {path.relative_to(ROOT)}"


def test_every_variable_shown_is_read_by_the_platform() -> None:
    from millrace.settings import Settings

    known = {"MILLRACE_REQUIRE_REAL"}
    for field in Settings.model_fields.values():
        known |= {field.alias} if field.alias else {str(one) for one in field.validation_alias.choices}  # type: ignore[union-attr]
    for name, line in _shown():
        for variable in re.findall(r"\bMILLRACE_[A-Z_]+\b", line):
            assert variable in known, f"{variable} in {name}"


def test_every_route_shown_is_served(make_settings: Any, tmp_path: Path) -> None:
    from millrace.api.app import create_app

    served = create_app(make_settings(tmp_path)).openapi()["paths"]
    for name, line in _shown():
        if found := re.fullmatch(r"(GET|POST|PUT|DELETE) (/[^\s,?]*)(\?\S*)?", line):
            method, path = found.group(1).lower(), found.group(2)
            if path in ("/health", "/server_info"):
                continue
            shapes = {re.sub(r"\{\w+\}", "{}", one): set(operations) for one, operations in served.items()}
            assert method in shapes.get(re.sub(r"\{\w+\}", "{}", path), set()), f"{line} in {name}"


@pytest.mark.parametrize("script", ["benchmarks/_render.py", "docs/render_settings.py"])
def test_what_is_rendered_into_documents_is_up_to_date(script: str) -> None:
    done = subprocess.run([sys.executable, script, "--check"], cwd=ROOT)
    assert done.returncode == 0, f"run: python {script}"


def test_the_upload_line_is_the_one_that_was_promised() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    promised = (
        'curl -X POST "http://localhost:8000/datasets/upload" \\\n'
        '  -F "file=@dataset.csv" \\\n'
        '  -F "user_id=user123" \\\n'
        '  -F "dataset_id=test-dataset-1" \\\n'
        '  -F "name=Test Dataset"\n'
    )
    assert promised in readme


def test_every_decision_is_in_the_index_and_has_its_four_parts() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    pages = sorted(folder.glob("[0-9]*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        assert f"[{page.name[:4]}]({page.name})" in index
        headings = re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert headings == ["Context", "Options", "Choice", "Consequence"], page.name
