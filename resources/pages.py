"""Addresses of the platform's pages, for links in Dagster's metadata."""

from dagster import ConfigurableResource, MetadataValue, UrlMetadataValue

from millrace import settings
from millrace.contracts.identifiers import DatasetKey
from millrace.contracts.stages import EXPLANATION_REPORT_TYPE, Level

FAMILIES = {
    "quality": "quality-reports",
    "bias": "bias-reports",
    "model_bias": "bias-reports",
    "mitigation": "bias-reports",
    "explanation": "xai-reports",
    "xai": "xai-reports",
}


class PagesResource(ConfigurableResource):
    """Links into the API that the environment of the run names."""

    def report(self, kind: str, report_id: str, *, page: bool = True) -> UrlMetadataValue:
        """The page of a report, or its document."""
        return self._link(f"{FAMILIES[kind]}/{report_id}{'/view' if page else ''}")

    def dataset(self, key: DatasetKey, version: int) -> UrlMetadataValue:
        """A version of a data set."""
        return self._link(f"datasets/{key.user_id}/{key.dataset_id}/versions/{version}")

    def model(self, key: DatasetKey, version: int) -> UrlMetadataValue:
        """A version of a data set's model."""
        return self._link(f"ai-models/{key.user_id}/{key.dataset_id}/v{version}")

    def explanation(self, key: DatasetKey, level: Level, model_version: int) -> UrlMetadataValue:
        """The explanation of a model at one level, at its lasting address."""
        path = f"{key.user_id}/{key.dataset_id}/{key.dataset_id}/{EXPLANATION_REPORT_TYPE}/{level}/view"
        return self._link(f"xai-reports/{path}?version=v{model_version}")

    def _link(self, path: str) -> UrlMetadataValue:
        return MetadataValue.url(f"{settings.load().api_url}/{path}")
