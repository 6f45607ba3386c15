"""The lineage graph: things are nodes, statements are the edges between them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from millrace.lineage.loading import Step

Direction = Literal["up", "down", "both"]


@dataclass(frozen=True)
class Graph:
    """Steps by what they made and by what they read."""

    made_by: Mapping[str, tuple[Step, ...]]
    read_by: Mapping[str, tuple[Step, ...]]

    def __contains__(self, ref: object) -> bool:
        return ref in self.made_by or ref in self.read_by

    def parents(self, ref: str) -> tuple[str, ...]:
        """What the thing was made from, in the order of the statements, each once."""
        return _once(one.ref for step in self.made_by.get(ref, ()) for one in step.inputs if one.ref != ref)

    def children(self, ref: str) -> tuple[str, ...]:
        """What was made from the thing, in the order of the statements, each once."""
        return _once(one.ref for step in self.read_by.get(ref, ()) for one in step.outputs if one.ref != ref)

    def ancestors(self, ref: str) -> frozenset[str]:
        """The thing and all that it rests on."""
        found, open_ones = {ref}, [ref]
        while open_ones:
            fresh = [one for one in self.parents(open_ones.pop()) if one not in found]
            found.update(fresh)
            open_ones.extend(fresh)
        return frozenset(found)


def build(steps: Iterable[Step]) -> Graph:
    """The graph of the steps."""
    made_by: dict[str, list[Step]] = defaultdict(list)
    read_by: dict[str, list[Step]] = defaultdict(list)
    for step in steps:
        for ref in _once(one.ref for one in step.outputs):
            made_by[ref].append(step)
        for ref in _once(one.ref for one in step.inputs):
            read_by[ref].append(step)
    return Graph(
        made_by={ref: tuple(some) for ref, some in made_by.items()},
        read_by={ref: tuple(some) for ref, some in read_by.items()},
    )


def _once(refs: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(refs))
