"""The model of a stream that has none pinned yet."""

from pathlib import Path
from typing import Any

from millrace.contracts.errors import BadInput, CannotReach
from millrace.text.choice import choose
from millrace.text.vader import NAME as VADER

AUTO = "auto"
SEED_MODEL = "distilbert-base-uncased-finetuned-sst-2-english"


def first_choice(wanted: str, *, cache: Path) -> dict[str, Any]:
    """What to pin for the setting: `auto` is the seed's DistilBERT where its files are on this machine, else VADER.

    Raises:
        CannotReach: a model that was named cannot be had.
        BadInput: it is no such model.
    """
    if wanted != AUTO:
        return choose(wanted, cache=cache)
    try:
        return choose(SEED_MODEL, cache=cache, offline=True)
    except (CannotReach, BadInput) as error:
        return {**choose(VADER, cache=cache), "instead_of": f"{SEED_MODEL}: {error.message}"}
