"""`lineage show`: one thing, what it was made from, and what was made from it."""

from dataclasses import asdict, dataclass
from datetime import UTC
from typing import Any

from millrace.contracts.references import Ref
from millrace.lineage.graph import Direction, Graph, build
from millrace.lineage.loading import Step, load_steps, related
from millrace.lineage.naming import resolve
from millrace.warehouse.store import Warehouse


@dataclass(frozen=True)
class Node:
    """A thing and the statement of how it was made; the statement's fields are None where there is none."""

    ref: str
    parts: tuple[Ref, ...] = ()
    asset: str | None = None
    statement_id: int | None = None
    statement_sha256: str | None = None
    made_at: str | None = None
    """ISO 8601, UTC."""
    code_version: str | None = None
    parameters: dict[str, Any] | None = None
    seed: int | None = None
    rows_in: int | None = None
    rows_out: int | None = None
    seconds: float | None = None
    approval: str | None = None
    trigger: dict[str, Any] | None = None
    dagster_run_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The node as `--json` prints it."""
        return {**asdict(self), "parts": [part.to_json() for part in self.parts]}


@dataclass(frozen=True)
class Branch:
    """A node on the way up or down. A node met before is `repeated`: its own branches are shown there."""

    node: Node
    branches: tuple["Branch", ...] = ()
    repeated: bool = False

    def to_json(self) -> dict[str, Any]:
        """The branch as `--json` prints it."""
        branches = [branch.to_json() for branch in self.branches]
        return {**self.node.to_json(), "repeated": self.repeated, "branches": branches}


@dataclass(frozen=True)
class LineageTree:
    """A thing with what it was made from (`up`) and what was made from it (`down`)."""

    node: Node
    direction: Direction
    up: tuple[Branch, ...] = ()
    down: tuple[Branch, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The tree as `--json` prints it; a direction that was not asked for is left out."""
        found = self.node.to_json()
        if self.direction in ("up", "both"):
            found["up"] = [branch.to_json() for branch in self.up]
        if self.direction in ("down", "both"):
            found["down"] = [branch.to_json() for branch in self.down]
        return found


def show(warehouse: Warehouse, ref: str, *, direction: Direction = "both") -> LineageTree:
    """The lineage of a model, a report or a data set; `ref` as `naming.resolve` takes it.

    Raises:
        BadInput: `ref` has no form that is known.
        NotFound: there is no such thing.
        CannotReach: the database does not answer.
    """
    with warehouse.read() as session:
        named = resolve(session, ref)
        graph = build(load_steps(session, related(session, named.key)).steps)
        return LineageTree(
            node=_node(graph, named.ref),
            direction=direction,
            up=_branches(graph, named.ref, "up", {named.ref}) if direction in ("up", "both") else (),
            down=_branches(graph, named.ref, "down", {named.ref}) if direction in ("down", "both") else (),
        )


def _branches(graph: Graph, ref: str, direction: Direction, seen: set[str]) -> tuple[Branch, ...]:
    found = []
    for next_ref in graph.parents(ref) if direction == "up" else graph.children(ref):
        repeated = next_ref in seen
        seen.add(next_ref)
        below = () if repeated else _branches(graph, next_ref, direction, seen)
        found.append(Branch(_node(graph, next_ref), below, repeated))
    return tuple(found)


def _node(graph: Graph, ref: str) -> Node:
    steps = graph.made_by.get(ref, ())
    return _stated(ref, steps) if steps else Node(ref)


def _stated(ref: str, steps: tuple[Step, ...]) -> Node:
    row = steps[-1].row
    return Node(
        ref=ref,
        parts=tuple(part for part in steps[-1].outputs if part.ref == ref),
        asset=row.asset,
        statement_id=row.id,
        statement_sha256=row.statement_sha256,
        made_at=row.created_at.astimezone(UTC).isoformat(),
        code_version=row.code_version,
        parameters=row.parameters,
        seed=row.seed,
        rows_in=row.rows_in,
        rows_out=row.rows_out,
        seconds=row.seconds,
        approval=row.approval,
        trigger=row.trigger,
        dagster_run_id=row.dagster_run_id,
    )
