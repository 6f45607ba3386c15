from pathlib import Path

from millrace.conductor.diagram import mermaid, page
from millrace.conductor.states import STATES
from millrace.conductor.transitions import TRANSITIONS

PAGE = Path(__file__).parents[3] / "docs" / "pipeline-states.md"


def test_the_page_in_the_docs_is_drawn_from_the_code():
    assert PAGE.read_text(encoding="utf-8") == page(), f"run `python -m millrace.conductor.diagram docs/{PAGE.name}`"


def test_every_transition_is_an_arrow_and_every_state_a_node():
    lines = mermaid().splitlines()
    arrows = {line.split(":")[0].strip() for line in lines if ":" in line}
    wanted = {
        f"{start or '[*]'} --> {end}" for one in TRANSITIONS for start in one.from_states for end in one.to_states
    }
    assert arrows == wanted
    assert all(f"`{state}`" in page() for state in STATES)
