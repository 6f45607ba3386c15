"""The plain pages: templates of this room in the common look, under a policy that allows no foreign script."""

import secrets
from typing import Any

from starlette.responses import HTMLResponse

from millrace.pages import environment


def render(template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """The page; the only script that runs is the one of the template, by a nonce."""
    nonce = secrets.token_urlsafe(16)
    text = environment("millrace.api").get_template(template).render(nonce=nonce, **values)
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'nonce-{nonce}'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return HTMLResponse(
        text,
        status_code=status,
        headers={
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            # a form of a page without a referrer sends `Origin: null`, which the guard refuses
            "Referrer-Policy": "same-origin",
            "Cache-Control": "no-store",
        },
    )
