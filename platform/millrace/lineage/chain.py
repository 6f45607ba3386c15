"""Statements against their own hashes, and every input against the output it was."""

from collections.abc import Iterable, Iterator

from millrace.contracts.references import Ref
from millrace.lineage.graph import Graph
from millrace.lineage.loading import Loaded, Step, statement_name
from millrace.lineage.verification import Failure, Gap
from millrace.warehouse.statements import statement_hash


def altered_statements(loaded: Loaded) -> Iterator[Failure]:
    """A failure for every statement that no longer hashes to what it hashed to when it was written."""
    for statement_id in loaded.unreadable:
        yield Failure(statement_name(statement_id), "statement unreadable", statement_id=statement_id)
    for step in loaded.steps:
        try:
            found = statement_hash(step.row)
        except (ValueError, TypeError, AttributeError):
            yield Failure(step.name, "statement unreadable", statement_id=step.row.id)
            continue
        if found != step.row.statement_sha256:
            yield Failure(
                step.name,
                "statement altered",
                statement_id=step.row.id,
                expected=step.row.statement_sha256,
                found=found,
            )


def broken_links(graph: Graph, steps: Iterable[Step]) -> Iterator[Failure | Gap]:
    """A failure for every input that is not what its own statement put out, a gap for one that nothing put out."""
    for step in steps:
        for read in step.inputs:
            made = [out for maker in graph.made_by.get(read.ref, ()) for out in maker.outputs if _same_piece(out, read)]
            if not made:
                yield Gap(read.ref, f"no statement says how it was made, but {step.name} was made from it")
            elif all(out.sha256 != read.sha256 for out in made):
                yield Failure(
                    read.ref,
                    "input differs",
                    part=read.part,
                    statement_id=step.row.id,
                    expected=made[-1].sha256,
                    found=read.sha256,
                )


def _same_piece(out: Ref, read: Ref) -> bool:
    return out.ref == read.ref and (read.part is None or out.part == read.part)
