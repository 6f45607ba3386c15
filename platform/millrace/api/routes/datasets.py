"""Data sets: upload, lists, versions and their bytes."""

import os
from collections.abc import Iterator
from typing import Any

import anyio
from fastapi import APIRouter, Request
from starlette.responses import Response

from millrace.api.access import Who, missing
from millrace.api.deps import Config, Store
from millrace.api.files import download
from millrace.api.form_stream import read_form
from millrace.api.metrics import UPLOADED_BYTES
from millrace.api.shapes import UploadOut, VersionOut
from millrace.api.trace import current_traceparent
from millrace.contracts.errors import BadInput, TooLarge
from millrace.contracts.identifiers import DatasetKey, check_identifier, dataset_key
from millrace.warehouse.datasets import get_version, list_datasets, list_versions
from millrace.warehouse.uploads import Received, receive, store_upload

router = APIRouter(tags=["datasets"])

_NAME_LIMIT = 200
# room for the form's own bytes beside the file's
_FORM_BYTES = 1 << 20
_UPLOAD_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "user_id", "dataset_id"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "user_id": {"type": "string"},
                        "dataset_id": {"type": "string"},
                        "name": {"type": "string", "maxLength": _NAME_LIMIT},
                    },
                }
            }
        },
    }
}


# the body is read by read_form, under the limit that the settings name
@router.post("/datasets/upload", status_code=201, openapi_extra=_UPLOAD_BODY, max_body_size=1 << 62)
async def upload(request: Request, response: Response, who: Who, store: Store, settings: Config) -> UploadOut:
    """Stores a file as a version of a data set; 201 when it is new, 200 when these bytes were there already."""
    declared = int(length) if (length := request.headers.get("content-length", "")).isdigit() else 0
    if declared > settings.max_upload_bytes + _FORM_BYTES:
        raise TooLarge(
            f"the upload of {declared:,} bytes is above the limit of {settings.max_upload_bytes:,}",
            field="file",
            remedy="raise MILLRACE_MAX_UPLOAD_BYTES, compress the file with gzip, or send Parquet",
        )

    def consume(file_name: str, chunks: Iterator[bytes]) -> Received:
        # the form around the file must not make one that just fits look too large
        expected = min(declared, settings.max_upload_bytes)
        return receive(chunks, file_name=file_name, settings=settings, warehouse=store, expected_bytes=expected)

    def check(fields: dict[str, str]) -> None:
        for name in ("user_id", "dataset_id"):
            if name in fields:
                check_identifier(fields[name], field=name)
        if "user_id" in fields:
            who.check(fields["user_id"], what=f"user {fields['user_id']}")

    uploads = request.app.state.uploads
    form = await read_form(request, consume, file_field="file", check=check, limiter=uploads)
    received = form.file
    try:
        key, name = _owner(form.fields)
        who.check(key.user_id, what=f"user {key.user_id}")
        if received is None:
            raise BadInput("no file came with the upload", field="file", remedy="add -F file=@FILE")
        trace = current_traceparent()
        result = await anyio.to_thread.run_sync(
            lambda: store_upload(store, settings, received, key=key, name=name, trace_parent=trace), limiter=uploads
        )
    finally:
        if received is not None:
            received.path.unlink(missing_ok=True)
    UPLOADED_BYTES.inc(result.version.size_bytes)
    response.status_code = 201 if result.created else 200
    out = VersionOut.of(result.version)
    response.headers["Location"] = out.url
    return UploadOut(**out.model_dump(), created=result.created, event_id=result.event_id)


def _owner(fields: dict[str, str]) -> tuple[DatasetKey, str]:
    for name in ("user_id", "dataset_id"):
        if not fields.get(name):
            raise BadInput(f"{name} is missing", field=name, remedy=f"add -F {name}=…")
    name = fields.get("name", "").strip() or fields["dataset_id"]
    if len(name) > _NAME_LIMIT:
        raise BadInput(f"name is longer than {_NAME_LIMIT} characters", field="name", remedy="shorten it")
    return dataset_key(fields["user_id"], fields["dataset_id"]), name


@router.get("/datasets")
def datasets(who: Who, store: Store, user_id: str | None = None) -> list[VersionOut]:
    """The newest version of every data set."""
    with store.read() as session:
        return [VersionOut.of(one) for one in list_datasets(session, who.scope(user_id))]


@router.get("/datasets/{user_id}/{dataset_id}")
def dataset(user_id: str, dataset_id: str, who: Who, store: Store) -> VersionOut:
    """The newest version of a data set."""
    key = owned(who, user_id, dataset_id)
    with store.read() as session:
        return VersionOut.of(get_version(session, key))


@router.get("/datasets/{user_id}/{dataset_id}/versions")
def versions(user_id: str, dataset_id: str, who: Who, store: Store) -> list[VersionOut]:
    """Every version of a data set, newest first."""
    key = owned(who, user_id, dataset_id)
    with store.read() as session:
        found = list_versions(session, key)
    if not found:
        raise missing(f"data set {key.partition_key}")
    return [VersionOut.of(one) for one in sorted(found, key=lambda one: one.version, reverse=True)]


@router.get("/datasets/{user_id}/{dataset_id}/versions/{version}")
def version(user_id: str, dataset_id: str, version: int, who: Who, store: Store) -> VersionOut:
    """One version of a data set."""
    key = owned(who, user_id, dataset_id)
    with store.read() as session:
        return VersionOut.of(get_version(session, key, version))


@router.get("/datasets/{user_id}/{dataset_id}/versions/{version}/profile")
def profile(user_id: str, dataset_id: str, version: int, who: Who, store: Store) -> dict[str, Any]:
    """The columns of a version: types, counts, ranges and frequent values."""
    key = owned(who, user_id, dataset_id)
    with store.read() as session:
        return get_version(session, key, version).profile.model_dump(mode="json")


@router.get("/datasets/{user_id}/{dataset_id}/versions/{version}/download", response_class=Response)
def raw(user_id: str, dataset_id: str, version: int, who: Who, store: Store) -> Response:
    """The bytes of a version as they came."""
    key = owned(who, user_id, dataset_id)
    with store.read() as session:
        facts = get_version(session, key, version)
    name = os.fspath(facts.file_name) or f"{dataset_id}.{facts.format}"
    return download(store.artifacts, facts.sha256, file_name=name)


def owned(who: Who, user_id: str, dataset_id: str) -> DatasetKey:
    """The checked key of a data set that the caller may see.

    Raises:
        NotFound: it is someone else's.
        BadInput: an identifier that is not valid.
    """
    key = dataset_key(user_id, dataset_id)
    who.check(key.user_id, what=f"data set {key.partition_key}")
    return key
