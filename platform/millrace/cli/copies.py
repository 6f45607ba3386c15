"""Copies of reports as files that need no platform to be read."""

import json
from pathlib import Path
from typing import Any

from millrace.cli.client import Api


def save_report(api: Api, report: dict[str, Any], folder: Path) -> dict[str, str | None]:
    """Paths of the saved page and document; `html` is None for a report that has no page.

    `report` is the API's, with its document.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = "-".join(part for part in (report["kind"], report["level"], report["report_id"]) if part)
    document = folder / f"{stem}.json"
    document.write_text(json.dumps(report["document"], ensure_ascii=False, indent=2) + "\n")
    page: Path | None = None
    if report["url"] is not None:
        page = folder / f"{stem}.html"
        page.write_bytes(api.content(report["url"]))
    return {"html": str(page) if page else None, "json": str(document)}
