from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from millrace.contracts.references import Ref
from millrace.lineage.graph import build
from millrace.lineage.loading import Step
from millrace.warehouse.schema import Statement


def _step(number: int, inputs: Sequence[str], output: str) -> Step:
    return Step(Statement(id=number), tuple(Ref(one, "0" * 64) for one in inputs), (Ref(output, "1" * 64),))


@given(st.lists(st.tuples(st.sets(st.sampled_from("abcdef")), st.sampled_from("abcdef")), max_size=12))
def test_ancestors_are_the_transitive_closure_of_parents(edges: list[tuple[set[str], str]]) -> None:
    graph = build(_step(number, sorted(inputs), output) for number, (inputs, output) in enumerate(edges))
    reach = {(output, one) for inputs, output in edges for one in inputs}
    while True:
        wider = reach | {(a, d) for a, b in reach for c, d in reach if b == c}
        if wider == reach:
            break
        reach = wider
    for ref in "abcdef":
        assert graph.ancestors(ref) == {ref} | {above for below, above in reach if below == ref}


@given(st.lists(st.tuples(st.sets(st.sampled_from("abcdef")), st.sampled_from("abcdef")), max_size=12))
def test_parents_and_children_are_each_others_mirror(edges: list[tuple[set[str], str]]) -> None:
    graph = build(_step(number, sorted(inputs), output) for number, (inputs, output) in enumerate(edges))
    for ref in "abcdef":
        for parent in graph.parents(ref):
            assert ref in graph.children(parent)
        for child in graph.children(ref):
            assert ref in graph.parents(child)
