"""Responses that carry what others wrote: report pages under a strict policy, raw files for download only."""

from starlette.responses import FileResponse, HTMLResponse, Response

from millrace.bias.script import SCRIPT_SOURCE
from millrace.warehouse.artifacts import ArtifactStore

REPORT_SCRIPTS = (SCRIPT_SOURCE,)
"""Hashes of the scripts that pages of ours carry; add one when a script changes and saved pages shall keep theirs."""
REPORT_POLICY = (
    f"default-src 'none'; style-src 'unsafe-inline'; script-src {' '.join(REPORT_SCRIPTS)}; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
_FIXED = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "private, no-cache"}


def report_page(html: bytes, *, sha256: str) -> Response:
    """A self-contained page: no script but our own runs, nothing is loaded from elsewhere, no other site frames it."""
    return HTMLResponse(
        html,
        headers={
            **_FIXED,
            "Content-Security-Policy": f"{REPORT_POLICY}; frame-ancestors 'self'",
            "ETag": f'"{sha256}"',
        },
    )


def download(artifacts: ArtifactStore, sha256: str, *, file_name: str) -> Response:
    """The raw bytes as a file to be saved, under a name that holds no path and no control character."""
    return FileResponse(
        artifacts.local_path(sha256),
        media_type="application/octet-stream",
        filename=_safe_name(file_name),
        content_disposition_type="attachment",
        headers={**_FIXED, "Content-Security-Policy": "default-src 'none'; sandbox", "ETag": f'"{sha256}"'},
    )


def _safe_name(name: str) -> str:
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(sign for sign in last if sign.isprintable() and sign not in '<>:"|?*')
    return kept.strip(". ")[:150] or "dataset"
