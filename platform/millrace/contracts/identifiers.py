"""Identifiers of users and data sets, and the partition key made of the two."""

import re
import uuid
from typing import NamedTuple

from millrace.contracts.errors import BadInput

IDENTIFIER_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class DatasetKey(NamedTuple):
    """A data set as its owner names it."""

    user_id: str
    dataset_id: str

    @property
    def partition_key(self) -> str:
        """The Dagster partition key, Kafka message key and registered model name: `user.dataset`."""
        return f"{self.user_id}.{self.dataset_id}"


def check_identifier(value: str, *, field: str) -> str:
    """The value itself when it is a valid identifier.

    Raises:
        BadInput: anything else; names the field and the accepted form.
    """
    if _IDENTIFIER.fullmatch(value):
        return value
    shown = value if len(value) <= 80 else value[:77] + "..."
    raise BadInput(
        f"{field} {shown!r} is not a valid identifier",
        field=field,
        remedy="use 1 to 64 letters, digits, '-' or '_', beginning with a letter or digit",
    )


def dataset_key(user_id: str, dataset_id: str) -> DatasetKey:
    """The checked pair.

    Raises:
        BadInput: either identifier is not valid.
    """
    return DatasetKey(
        check_identifier(user_id, field="user_id"),
        check_identifier(dataset_id, field="dataset_id"),
    )


def parse_partition_key(key: str) -> DatasetKey:
    """The data set behind a partition key `user.dataset`.

    Raises:
        BadInput: the key is not two valid identifiers joined by one dot.
    """
    user_id, dot, dataset_id = key.partition(".")
    if not dot:
        raise BadInput(
            f"partition key {key[:140]!r} names no data set",
            field="partition_key",
            remedy="write it as user_id.dataset_id",
        )
    return dataset_key(user_id, dataset_id)


def parse_model_version(text: str) -> int:
    """The number in a model version such as `v3`.

    Raises:
        BadInput: the text is not `v` and a positive whole number.
    """
    match = re.fullmatch(r"v([1-9][0-9]{0,8})", text)
    if match is None:
        raise BadInput(f"model version {text[:40]!r} is not valid", field="version", remedy="write it as v1, v2, …")
    return int(match.group(1))


def new_id(prefix: str) -> str:
    """A new unique identifier that says what it names, such as `pl-3f9c…` (prefix and 20 hex digits)."""
    return f"{prefix}-{uuid.uuid4().hex[:20]}"
