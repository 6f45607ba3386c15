"""The warehouse's own rows against the statements: what is said to exist was made, with the hashes it is shown with."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from millrace.contracts.canonical import sha256_json
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.references import Ref, dataset_ref, model_ref, report_ref
from millrace.lineage.graph import Graph
from millrace.lineage.loading import of_keys
from millrace.lineage.verification import Failure, Gap
from millrace.warehouse.model_rows import COUNTS, COUNTS_SHA256
from millrace.warehouse.schema import DatasetVersion, Model, Report, Stream
from millrace.warehouse.scoring_models import list_scoring_models, scoring_key


def stored_refs(session: Session, keys: Sequence[DatasetKey] | None) -> dict[str, tuple[Ref, ...]]:
    """Reference → its pieces with the hashes that the warehouse's rows give them."""
    found: dict[str, tuple[Ref, ...]] = {}
    for version in session.scalars(_of(select(DatasetVersion), DatasetVersion, keys)):
        ref = dataset_ref(DatasetKey(version.user_id, version.dataset_id), version.version)
        found[ref] = (Ref(ref, version.sha256, part="raw"), Ref(ref, version.table_sha256, part="table"))
    for model in session.scalars(_of(select(Model), Model, keys)):
        ref = model_ref(DatasetKey(model.user_id, model.dataset_id), model.version)
        found[ref] = (Ref(ref, model.tree_sha256, kind="model"), *_counts(ref, model.details))
    for report in session.scalars(_of(select(Report), Report, keys)):
        ref = report_ref(report.report_id)
        pieces = [Ref(ref, report.json_sha256, part="json")]
        if report.html_sha256 is not None:
            pieces.append(Ref(ref, report.html_sha256, part="html"))
        found[ref] = tuple(pieces)
        candidate = report.summary.get("candidate")
        if candidate is not None:
            found[candidate["ref"]] = (Ref(candidate["ref"], candidate["sha256"], kind="model"),)
    for scoring in list_scoring_models(session):
        if keys is None or scoring_key(scoring.stream) in keys:
            found[scoring.ref] = scoring.pieces()
    return found


def changed_pins(session: Session, keys: Sequence[DatasetKey] | None) -> Iterator[Failure | Gap]:
    """A failure for every stream that uses another model than the one that was recorded."""
    recorded = {one.ref: one for one in list_scoring_models(session)}
    for stream in session.scalars(select(Stream).order_by(Stream.name)):
        if stream.pinned is None or (keys is not None and scoring_key(stream.name) not in keys):
            continue
        one = recorded.get(str(stream.pinned.get("ref")))
        if one is None:
            yield Gap(f"stream:{stream.name}", "its model is not recorded; the next start of a process records it")
        elif sha256_json(stream.pinned) != one.choice_sha256:
            yield Failure(
                one.ref, "record differs", "pinned", expected=one.choice_sha256, found=sha256_json(stream.pinned)
            )


def disagreements(graph: Graph, stored: dict[str, tuple[Ref, ...]]) -> Iterator[Failure | Gap]:
    """Rows without a statement, statements without a row, and pieces whose hashes differ between the two."""
    for ref, pieces in stored.items():
        steps = graph.made_by.get(ref)
        if not steps:
            yield Gap(ref, "no statement says how it was made")
            continue
        stated = {out.part: out.sha256 for out in steps[-1].outputs if out.ref == ref}
        recorded = {piece.part: piece.sha256 for piece in pieces}
        for part in stated.keys() | recorded.keys():
            if stated.get(part) != recorded.get(part):
                yield Failure(
                    ref, "record differs", part, steps[-1].row.id, expected=stated.get(part), found=recorded.get(part)
                )
    for ref in graph.made_by:
        if ref not in stored:
            yield Failure(ref, "record missing", statement_id=graph.made_by[ref][-1].row.id)


def _counts(ref: str, details: dict[str, Any]) -> tuple[Ref, ...]:
    sha256 = details.get(COUNTS_SHA256)
    return () if sha256 is None else (Ref(ref, sha256, part=COUNTS),)


def _of(
    wanted: Select[Any], table: type[DatasetVersion | Model | Report], keys: Sequence[DatasetKey] | None
) -> Select[Any]:
    return wanted if keys is None else wanted.where(of_keys(table, keys))
