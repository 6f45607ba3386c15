"""Copies the measured figures from `results/` into the README, between its markers; `--check` only compares."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
RESULTS = Path(__file__).parent / "results"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

WHAT = {
    "warm_runs-warm-sqlite-idle": "Kafka event → asset code running",
    "warm_runs-default-sqlite-idle": "the same with Dagster's default launcher",
    "warm_runs-warm-sqlite-busy": "the same with warm runs, one core busy",
    "warm_runs-default-sqlite-busy": "the same with Dagster's default launcher, one core busy",
    "warm_runs-warm-postgres-idle": "the same with warm runs on PostgreSQL",
    "warm_runs-default-postgres-idle": "the same with Dagster's default launcher on PostgreSQL",
    "warm_runs-warm-postgres-busy": "the same with warm runs on PostgreSQL, one core busy",
    "warm_runs-default-postgres-busy": "the same with Dagster's default launcher on PostgreSQL, one core busy",
    "warm_runs_soak": "random launches, terminations, edits and kills of warm runs",
    "chain": "upload → three reports, beyond the stages' own compute",
    "import_time": "import of the code location, against a bare `import dagster`",
    "upload": "upload of a large CSV",
    "relay": "outbox relay to Kafka",
    "streaming": "exactly-once loop against a bare consume-produce loop, no-op step",
    "overload": "a stream that is sent ten times what it can do",
    "sinks": "scored events through the CSV and the Parquet sink at once",
    "text_models": "a classifier of DistilBERT's size: eight bits, batches of like length, against torch as it comes",
    "llm": "documents through a language model, beyond the model's own time; so many requests at once",
    "kill_table": "kill -9 of a part while a pipeline runs",
    "bias": "bias report on label and predictions, three columns with crossings, against a part of it by fairlearn",
    "mitigation": "gap in the bundled loans' selection rates by sex before and after each mitigation, against AIF360 "
    "(reweighing) and fairlearn (the others)",
    "lineage_verify": "`millrace lineage verify`, two artifacts a statement",
}
_UNITS = (("_mb_per_second", " MB/s"), ("_per_second", "/s"), ("_seconds", " s"), ("_mb", " MB"), ("_gb", " GB"),
          ("_ms", " ms"))  # fmt: skip


def table(results: Path = RESULTS) -> str:
    """The Markdown table: one row per result, in the order of `WHAT`, others after them."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob("*.json"))}
    order = [name for name in WHAT if name in found] + [name for name in found if name not in WHAT]
    lines = ["| what | measured | budget | on | measure it again |", "|---|---|---|---|---|"]
    lines += [_row(WHAT.get(name, name.replace("_", " ")), found[name]) for name in order]
    return "\n".join(lines)


def rendered(readme: str, figures: str) -> str:
    """The README with the table between its markers."""
    before, rest = readme.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{figures}\n{END}{after}"


def _row(what: str, document: Mapping[str, Any]) -> str:
    cells = list(_cells(document["figures"]))
    measured = ", ".join(text for name, text in cells if not name.startswith("budget_"))
    budget = ", ".join(text.removeprefix("budget ") for name, text in cells if name.startswith("budget_"))
    machine = document["machine"]
    on = f"{machine['cores']} cores, {machine['processor']}"
    return f"| {what} | {measured} | {budget} | {on}, {document['measured_on']} | `{document['command']}` |"


def _cells(figures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in figures.items():
        if isinstance(value, Mapping):
            inner = ", ".join(text for _, text in _cells(value))
            yield name, f"{name.replace('_', ' ')}: {inner}"
        else:
            yield name, _cell(name, value)


def _cell(name: str, value: Any) -> str:
    shown = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    if name == "ratio" or name.endswith("_ratio"):
        return f"{name.removesuffix('ratio').replace('_', ' ').strip()} {shown} ×".strip()
    for suffix, unit in _UNITS:
        if name == suffix[1:] or name.endswith(suffix):
            return f"{name.removesuffix(suffix[1:]).replace('_', ' ').strip()} {shown}{unit}".strip()
    return f"{name.replace('_', ' ')} {shown}"


def main() -> int:
    """0, or 1 when `--check` finds the README out of date."""
    before = README.read_text(encoding="utf-8")
    after = rendered(before, table())
    if "--check" in sys.argv:
        return int(before != after)
    README.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
