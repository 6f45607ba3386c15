"""Data sets and their versions."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, and_, func, select
from sqlalchemy.orm import Session

from millrace.contracts.errors import NotFound
from millrace.contracts.identifiers import DatasetKey
from millrace.warehouse.profile import Profile
from millrace.warehouse.schema import Dataset, DatasetVersion
from millrace.warehouse.table import read_parquet

if TYPE_CHECKING:
    import pandas as pd

    from millrace.warehouse.store import Warehouse


@dataclass(frozen=True)
class VersionFacts:
    """One version of a data set: the bytes as they came and the typed table read from them."""

    key: DatasetKey
    version: int
    sha256: str
    table_sha256: str
    file_name: str
    format: str
    size_bytes: int
    record_count: int
    column_count: int
    profile: Profile
    meta: dict[str, Any]
    name: str
    created_at: datetime


def get_version(session: Session, key: DatasetKey, version: int | None = None) -> VersionFacts:
    """That version of the data set, or the newest.

    Raises:
        NotFound: there is no such data set or version.
    """
    wanted = _of(key).order_by(DatasetVersion.version.desc()).limit(1)
    if version is not None:
        wanted = wanted.where(DatasetVersion.version == version)
    found = session.execute(wanted).one_or_none()
    if found is None:
        what = f"data set {key.partition_key}" + ("" if version is None else f" version {version}")
        raise NotFound(f"there is no {what}", field="dataset_id", remedy="upload it with `millrace run FILE`")
    return facts_of(found[0], found[1])


def find_content(session: Session, key: DatasetKey, sha256: str) -> VersionFacts | None:
    """The version of the data set with these raw bytes, if there is one."""
    found = session.execute(_of(key).where(DatasetVersion.sha256 == sha256)).one_or_none()
    return None if found is None else facts_of(found[0], found[1])


def newest_number(session: Session, key: DatasetKey) -> int:
    """Number of the data set's newest version, 0 when there is none."""
    newest = select(func.max(DatasetVersion.version)).where(
        DatasetVersion.user_id == key.user_id, DatasetVersion.dataset_id == key.dataset_id
    )
    return session.scalar(newest) or 0


def list_datasets(session: Session, user_id: str | None = None) -> list[VersionFacts]:
    """The newest version of every data set (of the user), the newest first."""
    newest = (
        select(DatasetVersion.user_id, DatasetVersion.dataset_id, func.max(DatasetVersion.version).label("version"))
        .group_by(DatasetVersion.user_id, DatasetVersion.dataset_id)
        .subquery()
    )
    wanted = (
        _joined()
        .join(
            newest,
            and_(
                newest.c.user_id == DatasetVersion.user_id,
                newest.c.dataset_id == DatasetVersion.dataset_id,
                newest.c.version == DatasetVersion.version,
            ),
        )
        .order_by(DatasetVersion.id.desc())
    )
    if user_id is not None:
        wanted = wanted.where(DatasetVersion.user_id == user_id)
    return [facts_of(found[0], found[1]) for found in session.execute(wanted)]


def list_versions(session: Session, key: DatasetKey) -> list[VersionFacts]:
    """Every version of the data set, the oldest first; empty when there is none."""
    return [facts_of(found[0], found[1]) for found in session.execute(_of(key).order_by(DatasetVersion.version))]


def read_table(warehouse: "Warehouse", version: VersionFacts) -> "pd.DataFrame":
    """The version's rows, in their order, in plain numpy dtypes.

    Integers with missing values are float64, booleans with missing values object, text is object with None, dates and
    timestamps are datetime64.

    Raises:
        NotFound: the artifact is not in the store.
    """
    return read_parquet(warehouse.artifacts.local_path(version.table_sha256))


def facts_of(row: DatasetVersion, name: str) -> VersionFacts:
    """The facts of a row of `dataset_versions`."""
    return VersionFacts(
        key=DatasetKey(row.user_id, row.dataset_id),
        version=row.version,
        sha256=row.sha256,
        table_sha256=row.table_sha256,
        file_name=row.file_name,
        format=row.format,
        size_bytes=row.size_bytes,
        record_count=row.record_count,
        column_count=row.column_count,
        profile=Profile.model_validate(row.profile),
        meta=row.meta,
        name=name,
        created_at=row.created_at,
    )


def _joined() -> Select[DatasetVersion, str]:
    return select(DatasetVersion, Dataset.name).join(
        Dataset, and_(Dataset.user_id == DatasetVersion.user_id, Dataset.dataset_id == DatasetVersion.dataset_id)
    )


def _of(key: DatasetKey) -> Select[DatasetVersion, str]:
    return _joined().where(DatasetVersion.user_id == key.user_id, DatasetVersion.dataset_id == key.dataset_id)
