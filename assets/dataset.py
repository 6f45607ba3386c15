"""The data set: what was uploaded, as the warehouse keeps it."""

from typing import TYPE_CHECKING, Any

from dagster import (
    AssetExecutionContext,
    DataVersion,
    MaterializeResult,
    MetadataValue,
    TableColumn,
    TableSchema,
    asset,
)

from assets.metadata import markdown_table
from assets.partitions import DATASETS
from assets.stage import reported
from millrace import __version__
from millrace.contracts.identifiers import parse_partition_key
from resources.pages import PagesResource
from resources.warehouse import WarehouseResource

if TYPE_CHECKING:
    from millrace.warehouse.datasets import VersionFacts

PREVIEW_COLUMNS = 40
"""Columns in a preview; the page of the data set has them all."""
PREVIEW_ROWS = 5


@asset(
    partitions_def=DATASETS,
    group_name="intake",
    kinds={"parquet"},
    owners=["team:data"],
    code_version=__version__,
    description="An uploaded file, kept by content and read into a typed table. Recorded when the upload arrives; "
    "launched by hand, its bytes are hashed again and compared with what was recorded.",
)
def dataset(context: AssetExecutionContext, warehouse: WarehouseResource, pages: PagesResource) -> MaterializeResult:
    """The newest version, with its bytes checked."""
    from millrace.warehouse.datasets import get_version

    with reported():
        store = warehouse.open()
        with store.read() as session:
            version = get_version(session, parse_partition_key(context.partition_key))
        store.artifacts.verify(version.sha256)
        store.artifacts.verify(version.table_sha256)
        rows = _first_rows(str(store.artifacts.local_path(version.table_sha256)))
    names = [column.name for column in version.profile.columns]
    metadata = {**dataset_metadata(version, pages), "first rows": markdown_table(names[:PREVIEW_COLUMNS], rows)}
    return MaterializeResult(data_version=DataVersion(version.sha256), metadata={**metadata, "bytes checked": True})


def dataset_metadata(version: "VersionFacts", pages: PagesResource) -> dict[str, Any]:
    """What a materialisation of a data set tells."""
    columns = version.profile.columns
    shown = [
        (column.name, column.type, column.null_count, column.distinct_count, _example(column))
        for column in columns[:PREVIEW_COLUMNS]
    ]
    return {
        "data set version": version.version,
        "name": version.name,
        "file": version.file_name,
        "format": version.format,
        "sha256": version.sha256,
        "table sha256": version.table_sha256,
        "bytes": version.size_bytes,
        "dagster/row_count": version.record_count,
        "rows": version.record_count,
        "columns": version.column_count,
        "dagster/column_schema": MetadataValue.table_schema(
            TableSchema(columns=[TableColumn(column.name, column.type) for column in columns])
        ),
        "preview": markdown_table(("column", "type", "missing", "distinct", "most frequent"), shown),
        "page": pages.dataset(version.key, version.version),
    }


def _example(column: Any) -> str | None:
    return column.top[0].value if column.top else column.minimum


def _first_rows(path: str) -> list[list[Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as table:
        for batch in table.iter_batches(batch_size=PREVIEW_ROWS):
            return [list(row.values())[:PREVIEW_COLUMNS] for row in batch.to_pylist()]
    return []
