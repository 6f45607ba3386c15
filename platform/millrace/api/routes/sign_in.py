"""Signing in with a token, for people whose browser cannot send an Authorization header."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from millrace.api.access import COOKIE, parse_tokens, user_of
from millrace.api.deps import Config
from millrace.api.html import render

router = APIRouter(include_in_schema=False)


@router.get("/login", response_class=HTMLResponse)
def ask() -> Response:
    """The form that takes a token."""
    return render("sign_in.html", title="Sign in", failed=False)


@router.post("/login")
def sign_in(request: Request, settings: Config, token: Annotated[str, Form(max_length=500)]) -> Response:
    """Keeps a valid token in a cookie that scripts and other sites never see."""
    tokens = parse_tokens(settings.api_tokens.get_secret_value() if settings.api_tokens else None)
    if tokens and user_of(token, tokens) is None:
        return render("sign_in.html", status=401, title="Sign in", failed=True)
    answer = RedirectResponse("/", status_code=303)
    if tokens:
        answer.set_cookie(
            COOKIE, token, httponly=True, samesite="strict", secure=request.url.scheme == "https", max_age=12 * 3600
        )
    return answer
