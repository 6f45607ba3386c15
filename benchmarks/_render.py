"""Copies the measured figures from `results/` into the README, between its markers; `--check` only compares."""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
RESULTS = Path(__file__).parent / "results"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Shown:
    """A figure of a result and how it is told. `path` leads to it, with dots; so do those of the budgets."""

    label: str
    path: str
    at_most: str | None = None
    at_least: str | None = None


WARM_RUNS = {
    "warm_runs-warm-sqlite-idle": "warm runs, SQLite",
    "warm_runs-warm-sqlite-busy": "the same, one core busy",
    "warm_runs-warm-postgres-idle": "warm runs, PostgreSQL",
    "warm_runs-warm-postgres-busy": "the same, one core busy",
    "warm_runs-default-sqlite-idle": "Dagster's launcher, SQLite",
    "warm_runs-default-sqlite-busy": "the same, one core busy",
    "warm_runs-default-postgres-idle": "Dagster's launcher, PostgreSQL",
    "warm_runs-default-postgres-busy": "the same, one core busy",
}
WARM_COLUMNS = (
    Shown("event, p50", "queued.event.p50_seconds", at_most="budget_queued_p50_seconds"),
    Shown("event, p95", "queued.event.p95_seconds", at_most="budget_queued_p95_seconds"),
    Shown("event without the queue, p50", "direct.event.p50_seconds", at_most="budget_direct_p50_seconds"),
    Shown("from Dagster's pages, p50", "queued.pages.p50_seconds", at_most="budget_pages_p50_seconds"),
    Shown("last of 50 events at once", "queued.burst.last_seconds", at_most="budget_burst_last_seconds"),
)

SHOWN: dict[str, tuple[str, tuple[Shown, ...]]] = {
    "warm_runs_soak": (
        "an hour of random launches, terminations, edits and kills of warm runs",
        (Shown("runs", "runs"), Shown("not as they should be", "not_as_it_should_be")),
    ),
    "chain": (
        "upload → three reports, beyond the stages' own compute",
        (
            Shown("", "warm.overhead_seconds", at_most="budget_overhead_seconds"),
            Shown("with Dagster's launcher", "default.overhead_seconds", at_most="budget_overhead_seconds"),
        ),
    ),
    "idle_platform": (
        "a platform with nothing to do",
        (
            Shown("ready in", "ready_seconds", at_most="budget_ready_seconds"),
            Shown("resident", "resident_gb", at_most="budget_resident_gb"),
            Shown("shared pages once", "proportional_gb"),
            Shown("processor", "processor_percent_of_a_core"),
            Shown("down in", "down_seconds", at_most="budget_down_seconds"),
        ),
    ),
    "stages": (
        "training against its time budget; 10,000 rows explained by 100 trees",
        (
            Shown("training", "training_ratio", at_most="budget_training_ratio"),
            Shown("explanation", "explanation_seconds", at_most="budget_explanation_seconds"),
        ),
    ),
    "kill_table": (
        "kill -9 of a part while a pipeline runs",
        (
            Shown("pipelines", "pipelines"),
            Shown("completed alone", "completed_alone"),
            Shown("after a retry", "completed_after_retry"),
            Shown("not truthful", "not_truthful"),
        ),
    ),
    "import_time": (
        "import of the code location, against a bare `import dagster`",
        (Shown("", "ratio", at_most="budget_ratio"),),
    ),
    "upload": (
        "upload of a large CSV",
        (
            Shown("file", "file_mb"),
            Shown("", "mb_per_second"),
            Shown("peak memory", "both_peak_mb", at_most="budget_peak_mb"),
        ),
    ),
    "relay": (
        "outbox relay to Kafka",
        (
            Shown("events", "events_per_second"),
            Shown("restarts of the broker", "restarts"),
            Shown("lost", "lost"),
            Shown("out of order", "out_of_order"),
        ),
    ),
    "streaming": (
        "exactly-once loop against a bare consume-produce loop, step that only copies",
        (
            Shown("bare, the client's defaults", "bare_as_the_client_comes.messages_per_second"),
            Shown("bare, our client settings", "bare.messages_per_second"),
            Shown("the same one message at a time", "bare_one_at_a_time.messages_per_second"),
            Shown("ours, commits every 100 ms", "transactions_of_up_to_100_ms.messages_per_second"),
            Shown("against the defaults", "transactions_of_up_to_100_ms.against_the_client_as_it_comes_ratio"),
            Shown(
                "against our client settings", "transactions_of_up_to_100_ms.ratio", at_least="budget_100_ms_ratio"
            ),
            Shown("ours, every 10 ms, against the defaults",
                  "transactions_of_up_to_10_ms.against_the_client_as_it_comes_ratio"),
            Shown("against our client settings", "transactions_of_up_to_10_ms.ratio", at_least="budget_10_ms_ratio"),
        ),
    ),
    "overload": (
        "a stream that is sent ten times what it can do",
        (
            Shown("for", "seconds"),
            Shown("messages", "messages"),
            Shown("peak memory", "peak_memory_mb"),
            Shown("lost", "lost"),
            Shown("doubled", "doubled"),
            Shown("recovered in", "recovery_seconds"),
        ),
    ),
    "sinks": (
        "scored events through the CSV and the Parquet sink at once",
        (Shown("messages", "messages"), Shown("", "rows_per_second"), Shown("lost", "lost")),
    ),
    "text_models": (
        "a classifier of DistilBERT's size: eight bits, batches of like length, against torch as it comes",
        (
            Shown("", "ratio", at_least="budget_ratio"),
            Shown("p99 at half load", "half_load_p99_seconds", at_most="budget_half_load_p99_seconds"),
        ),
    ),
    "llm": (
        "a document through a language model, beyond the model's own time",
        (
            Shown("one at a time", "at_once_1.overhead_per_document_ms", at_most="budget_overhead_ms"),
            Shown("eight at once", "at_once_8.overhead_per_document_ms", at_most="budget_overhead_ms"),
        ),
    ),
    "bias": (
        "bias report on label and predictions, 1,000,000 rows, three columns with crossings, 200 bootstraps",
        (
            Shown("", "report_seconds", at_most="budget_report_seconds"),
            Shown("peak memory", "peak_memory_mb", at_most="budget_peak_memory_mb"),
            Shown("of 5,000 rows", "report_of_5000_rows_seconds", at_most="budget_report_of_5000_rows_seconds"),
            Shown("of 20,000 rows, against a part of it by fairlearn", "of_20000_rows.ratio", at_least="budget_ratio"),
        ),
    ),
    "mitigation": (
        "gap in the bundled loans' selection rates by sex, in points, with each mitigation (its reference library's)",
        (
            Shown("none", "untreated.gap_points"),
            Shown("reweighing", "reweighing.gap_points"),
            Shown("AIF360's", "reweighing.reference_gap_points"),
            Shown("correlation remover", "correlation_remover.gap_points"),
            Shown("fairlearn's", "correlation_remover.reference_gap_points"),
            Shown("exponentiated gradient", "exponentiated_gradient.gap_points"),
            Shown("fairlearn's", "exponentiated_gradient.reference_gap_points"),
            Shown("threshold optimizer", "threshold_optimizer.gap_points"),
            Shown("fairlearn's", "threshold_optimizer.reference_gap_points"),
            Shown("report of all", "report_of_all_methods_seconds"),
        ),
    ),
    "lineage_verify": (
        "`millrace lineage verify` of 10,000 statements, two artifacts each",
        (Shown("", "seconds", at_most="budget_seconds"),),
    ),
}  # fmt: skip

_UNITS = (("_mb_per_second", " MB/s"), ("_per_second", "/s"), ("_seconds", " s"), ("_mb", " MB"), ("_ms", " ms"),
          ("_gb", " GB"), ("_percent_of_a_core", " % of a core"), ("_ratio", " ×"))  # fmt: skip


def tables(results: Path = RESULTS) -> str:
    """Both tables in Markdown, from every result that is there.

    Raises:
        KeyError: a result has no figure of a name that is to be shown, or is not to be shown at all.
    """
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob("*.json"))}
    if unknown := found.keys() - WARM_RUNS.keys() - SHOWN.keys():
        raise KeyError(f"say in benchmarks/_render.py what of these is shown: {', '.join(sorted(unknown))}")
    warm = [(name, found[name]) for name in WARM_RUNS if name in found]
    others = [(*SHOWN[name], found[name]) for name in SHOWN if name in found]
    first = warm[0][1]["figures"]
    lines = [
        "From a Kafka event, or a click, to the asset's code running:",
        "",
        _line("", *(one.label for one in WARM_COLUMNS)),
        _line(*("---" for _ in range(len(WARM_COLUMNS) + 1))),
        _line("asked", *(f"≤ {_value(one.at_most or '', first)}" for one in WARM_COLUMNS)),
        *(_warm_line(name, document["figures"]) for name, document in warm),
        "",
        "`python benchmarks/warm_runs.py` measures all of these again; what was left out says –. Everything else:",
        "",
        _line("what", "measured (asked)", "measure it again"),
        _line("---", "---", "---"),
        *(_line(what, "<br>".join(_told(shown, document["figures"])), _again(document))
          for what, shown, document in others),
        "",
        "Measured on " + ", ".join(sorted({_machine(document) for document in found.values()}))
        + f", between {min(one['measured_on'] for one in found.values())} and "
        + f"{max(one['measured_on'] for one in found.values())}; dates, versions and all other figures are in "
        "[`benchmarks/results`](benchmarks/results).",
    ]  # fmt: skip
    return "\n".join(lines)


def rendered(readme: str, figures: str) -> str:
    """The README with the tables between its markers."""
    before, rest = readme.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{figures}\n{END}{after}"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _warm_line(name: str, figures: Figures) -> str:
    ours = "-warm-" in name
    return _line(WARM_RUNS[name], *(_cell(one, figures, budget=False, judged=ours) for one in WARM_COLUMNS))


def _told(shown: tuple[Shown, ...], figures: Figures) -> Iterator[str]:
    for one in shown:
        yield f"{one.label} {_cell(one, figures, budget=True)}".strip()


def _cell(one: Shown, figures: Figures, *, budget: bool, judged: bool = True) -> str:
    """The figure, with its budget if that is wanted; one that is judged and misses it says so."""
    if _find(one.path, figures) is None:
        return "–"
    measured = _value(one.path, figures)
    path = one.at_most or one.at_least
    if path is None or not judged:
        return measured
    value, limit = _find(one.path, figures), _find(path, figures)
    met = value <= limit if one.at_most else value >= limit
    asked = f" ({'≤' if one.at_most else '≥'} {_value(path, figures)})" if budget else ""
    return f"{measured}{asked}" if met else f"**{measured}**{asked or ''} missed"


def _find(path: str, figures: Figures) -> Any:
    """The figure; None where a whole part of the result was not measured."""
    *parts, name = path.split(".")
    for part in parts:
        if part not in figures:
            return None
        figures = figures[part]
    return figures[name]


def _value(path: str, figures: Figures) -> str:
    value, name = _find(path, figures), path.rpartition(".")[2]
    shown = f"{value:,}" if isinstance(value, int) else f"{value:,.3g}" if value < 100 else f"{value:,.0f}"
    return shown + next((unit for end, unit in _UNITS if name == end[1:] or name.endswith(end)), "")


def _again(document: Mapping[str, Any]) -> str:
    return f"`{document['command']}`"


def _machine(document: Mapping[str, Any]) -> str:
    machine = document["machine"]
    return f"{machine['cores']} cores, {machine['processor']}"


def main() -> int:
    """0, or 1 when `--check` finds the README out of date."""
    before = README.read_text(encoding="utf-8")
    after = rendered(before, tables())
    if "--check" in sys.argv:
        return int(before != after)
    README.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
