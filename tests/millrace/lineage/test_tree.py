from typing import Any

import pytest

from millrace.contracts.errors import BadInput, NotFound
from millrace.lineage.tree import Branch, show


def _refs(branches: tuple[Branch, ...]) -> set[str]:
    found: set[str] = set()
    for branch in branches:
        found |= {branch.node.ref} | _refs(branch.branches)
    return found


def test_a_report_leads_up_to_the_data_it_rests_on(world: Any) -> None:
    tree = show(world.warehouse, world.refs["xai_report/expert"], direction="up")
    assert [branch.node.ref for branch in tree.up] == [world.refs["explanation"]]
    assert _refs(tree.up) == {world.refs["explanation"], world.refs["model"], world.refs["dataset"]}
    assert tree.down == ()


def test_a_data_set_leads_down_to_everything_it_touched(world: Any) -> None:
    tree = show(world.warehouse, "ada.loans", direction="down")
    assert tree.node.ref == "dataset:ada.loans@v1"
    assert _refs(tree.down) == set(world.refs.values()) - {world.refs["dataset"]}


def test_a_node_met_twice_grows_once(world: Any) -> None:
    tree = show(world.warehouse, world.refs["explanation"], direction="up")
    data_set, model = tree.up
    assert not data_set.repeated
    assert [(one.node.ref, one.repeated) for one in model.branches] == [(world.refs["dataset"], True)]


def test_a_node_says_how_it_was_made(world: Any) -> None:
    node = show(world.warehouse, "model:ada.loans").node
    assert node.asset == "model"
    assert (node.seed, node.rows_in, node.parameters) == (7, 4, {"target": "granted"})
    assert node.approval == "pipeline:pl-00000000000000000001"
    assert [part.kind for part in node.parts] == ["model", "artifact"]


def test_the_json_holds_what_was_asked_for(world: Any) -> None:
    found = show(world.warehouse, "model:ada.loans@v1", direction="up").to_json()
    assert "down" not in found
    assert found["up"][0]["ref"] == "dataset:ada.loans@v1"
    assert {part["part"] for part in found["up"][0]["parts"]} == {"raw", "table"}


def test_a_report_is_named_by_its_id_alone(world: Any) -> None:
    full = world.refs["bias_report"]
    assert show(world.warehouse, full.removeprefix("report:")).node.ref == full


@pytest.mark.parametrize("ref", ["picture:ada.loans@v1", "ada", "ada.loans@1", "ada.lo ans", "dataset:ada.loans@v0"])
def test_a_text_of_no_known_form_is_refused_with_a_remedy(world: Any, ref: str) -> None:
    with pytest.raises(BadInput) as caught:
        show(world.warehouse, ref)
    assert caught.value.remedy


@pytest.mark.parametrize("ref", ["ada.loans@v2", "model:ada.loans@v2", "ada.cars", "br-00000000000000000000"])
def test_a_thing_that_is_not_there_is_not_found(world: Any, ref: str) -> None:
    with pytest.raises(NotFound):
        show(world.warehouse, ref)
