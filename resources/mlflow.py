"""The MLflow server as a Dagster resource."""

from typing import TYPE_CHECKING

from dagster import ConfigurableResource

from millrace import settings

if TYPE_CHECKING:
    from millrace.contracts.control import Predictor
    from millrace.warehouse.models import ModelFacts


class MlflowResource(ConfigurableResource):
    """Where models are registered, and how they come back."""

    def uri(self) -> str:
        """URL of the server that the environment of the run names."""
        return settings.load().mlflow

    def predictor(self, model: "ModelFacts") -> "Predictor":
        """The fitted model, if its files are still those that were recorded.

        Raises:
            CannotReach: the server does not answer.
            NotFound: the server has no such model.
            IntegrityBroken: the files are not those that were recorded.
        """
        from millrace.automl.registry import load_predictor

        predictor: Predictor = load_predictor(model.model_uri, self.uri(), tree_sha256=model.tree_sha256)
        return predictor
