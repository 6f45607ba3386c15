"""Errors as RFC 9457 problem details."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from millrace.api.trace import current_trace_id
from millrace.contracts.errors import MillraceError, Unauthorised

MEDIA_TYPE = "application/problem+json"
_TYPE_PREFIX = "urn:millrace:problem:"
_SOURCES = ("body", "query", "path", "header", "cookie", "form")


def problem(
    *, code: str, status: int, detail: str, field: str | None = None, remedy: str | None = None, **extra: Any
) -> Response:
    """A problem-details response; facts that are None are left out."""
    body = {
        "type": _TYPE_PREFIX + code,
        "title": code.replace("-", " ").capitalize(),
        "status": status,
        "detail": detail,
        "field": field,
        "remedy": remedy,
        "trace_id": current_trace_id(),
        **extra,
    }
    headers = {"WWW-Authenticate": 'Bearer realm="millrace"'} if status == HTTPStatus.UNAUTHORIZED else None
    return JSONResponse(
        {name: value for name, value in body.items() if value is not None},
        status_code=status,
        media_type=MEDIA_TYPE,
        headers=headers,
    )


def from_error(error: MillraceError) -> Response:
    """The problem that an error of ours is."""
    return problem(code=error.code, status=error.status, detail=error.message, field=error.field, remedy=error.remedy)


def from_validation(errors: Sequence[Any]) -> Response:
    """The problem behind a request that does not fit its schema: the first fault, and all of them beside it."""
    faults = [_fault(error) for error in errors]
    first = faults[0]
    return problem(
        code="bad-input",
        status=HTTPStatus.UNPROCESSABLE_ENTITY,
        detail=f"{first['field']}: {first['message']}",
        field=first["field"],
        remedy="see /docs for what this route takes",
        errors=faults,
    )


def _fault(error: Any) -> dict[str, str]:
    parts = [str(part) for part in error["loc"] if part not in _SOURCES]
    message = str(error["msg"]).removeprefix("Value error, ")
    return {"field": ".".join(parts) or "body", "message": message}


async def _on_millrace_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, MillraceError)
    return from_error(error)


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return from_validation(error.errors())


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    if error.status_code == HTTPStatus.UNAUTHORIZED:
        return from_error(Unauthorised(str(error.detail)))
    return problem(code=code, status=error.status_code, detail=str(error.detail))


async def _on_surprise(request: Request, error: Exception) -> Response:
    # the traceback is in the log under the same trace id; the caller learns nothing of our insides
    return problem(
        code="internal-error",
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        detail="the request failed for a reason that is ours",
        remedy="look for the trace id in the api's log under MILLRACE_HOME/logs",
    )


def install(app: FastAPI) -> None:
    """Makes every error of the application a problem-details response."""
    app.add_exception_handler(MillraceError, _on_millrace_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_surprise)
