"""What the API says of data sets, models and reports: the published JSON."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel

from millrace.contracts.stages import EXPLANATION_REPORT_TYPE
from millrace.warehouse.datasets import VersionFacts
from millrace.warehouse.models import ModelFacts
from millrace.warehouse.reports import ReportFacts


class VersionOut(BaseModel):
    """One version of a data set."""

    user_id: str
    dataset_id: str
    name: str
    version: int
    sha256: str
    table_sha256: str
    file_name: str
    format: str
    size_bytes: int
    record_count: int
    column_count: int
    metadata: dict[str, Any]
    created_at: datetime
    url: str
    download_url: str

    @classmethod
    def of(cls, facts: VersionFacts) -> Self:
        """The published form of a version."""
        base = f"/datasets/{facts.key.user_id}/{facts.key.dataset_id}"
        return cls(
            user_id=facts.key.user_id,
            dataset_id=facts.key.dataset_id,
            name=facts.name,
            version=facts.version,
            sha256=facts.sha256,
            table_sha256=facts.table_sha256,
            file_name=facts.file_name,
            format=facts.format,
            size_bytes=facts.size_bytes,
            record_count=facts.record_count,
            column_count=facts.column_count,
            metadata=facts.meta,
            created_at=facts.created_at,
            url=f"{base}/versions/{facts.version}",
            download_url=f"{base}/versions/{facts.version}/download",
        )


class UploadOut(VersionOut):
    """What an upload became. `created` is false when these bytes were there already; then no event was sent."""

    created: bool = True
    event_id: str | None = None


class ReportOut(BaseModel):
    """A report; `url` shows its page, `json_url` its machine-readable twin."""

    report_id: str
    kind: str
    user_id: str
    dataset_id: str
    version: int
    model_version: str | None
    level: str | None
    report_hash: str
    html_sha256: str | None
    json_sha256: str
    summary: dict[str, Any]
    pipeline_id: str | None
    created_at: datetime
    url: str | None
    json_url: str

    @classmethod
    def of(cls, facts: ReportFacts) -> Self:
        """The published form of a report."""
        return cls(
            report_id=facts.report_id,
            kind=facts.kind,
            user_id=facts.key.user_id,
            dataset_id=facts.key.dataset_id,
            version=facts.version,
            model_version=None if facts.model_version is None else f"v{facts.model_version}",
            level=facts.level,
            report_hash=facts.report_hash,
            html_sha256=facts.html_sha256,
            json_sha256=facts.json_sha256,
            summary=facts.summary,
            pipeline_id=facts.pipeline_id,
            created_at=facts.created_at,
            url=page_url(facts),
            json_url=f"/{prefix_of(facts.kind)}/{facts.report_id}",
        )


class ModelOut(BaseModel):
    """A registered model."""

    user_id: str
    dataset_id: str
    model_id: str
    version: str
    dataset_version: int
    registered_name: str
    mlflow_run_id: str
    model_uri: str
    tree_sha256: str
    framework: str
    task_type: str
    algorithm: str
    target_column: str
    size_bytes: int
    metrics: dict[str, Any]
    details: dict[str, Any]
    pipeline_id: str | None
    created_at: datetime

    @classmethod
    def of(cls, facts: ModelFacts) -> Self:
        """The published form of a model."""
        return cls(
            user_id=facts.key.user_id,
            dataset_id=facts.key.dataset_id,
            model_id=facts.key.dataset_id,
            version=f"v{facts.version}",
            dataset_version=facts.dataset_version,
            registered_name=facts.registered_name,
            mlflow_run_id=facts.mlflow_run_id,
            model_uri=facts.model_uri,
            tree_sha256=facts.tree_sha256,
            framework=facts.framework,
            task_type=facts.task_type,
            algorithm=facts.algorithm,
            target_column=facts.target_column,
            size_bytes=facts.size_bytes,
            metrics=facts.metrics,
            details=facts.details,
            pipeline_id=facts.pipeline_id,
            created_at=facts.created_at,
        )


def prefix_of(kind: str) -> str:
    """First part of the path under which reports of this kind are served."""
    return {"quality": "quality-reports", "xai": "xai-reports", "explanation": "xai-reports"}.get(kind, "bias-reports")


def page_url(facts: ReportFacts) -> str | None:
    """Path of the report's page, None for one that has none."""
    return report_path(
        user_id=facts.key.user_id,
        dataset_id=facts.key.dataset_id,
        report_id=facts.report_id,
        kind=facts.kind,
        level=facts.level,
        model_version=facts.model_version,
        has_page=facts.html_sha256 is not None,
    )


def report_path(
    *,
    user_id: str,
    dataset_id: str,
    report_id: str,
    kind: str,
    level: str | None,
    model_version: int | None,
    has_page: bool,
) -> str | None:
    """Path of a report's page: by data set, model and level for an explanation, by its id for the others."""
    if not has_page:
        return None
    if kind == "xai" and level is not None and model_version is not None:
        by_model = f"/xai-reports/{user_id}/{dataset_id}/{dataset_id}/{EXPLANATION_REPORT_TYPE}/{level}/view"
        return f"{by_model}?version=v{model_version}"
    return f"/{prefix_of(kind)}/{report_id}/view"
