"""The one script of a bias page, and the hash by which a content security policy lets it run and nothing else."""

import base64
import hashlib
from pathlib import Path

SCRIPT = (Path(__file__).parent / "templates" / "bias.js").read_text(encoding="utf-8")


def source_of(script: str) -> str:
    """The script as `script-src` of a content security policy names it (W3C CSP 3, section 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


SCRIPT_SOURCE = source_of(SCRIPT)
