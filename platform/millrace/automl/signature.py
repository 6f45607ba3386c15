"""The MLflow signature of a model: the raw columns it takes, and what it gives."""

from typing import TYPE_CHECKING, Any

from millrace.automl.result import Feature, ModelCard

if TYPE_CHECKING:
    from mlflow.models.signature import ModelSignature


def model_signature(card: ModelCard, *, labels: Any) -> "ModelSignature":
    """Every feature as an optional column, because the preprocessing takes missing values, and the kind of answer.

    Text is declared as text, all else as `Any`: MLflow takes no whole numbers where it was told double, no gaps where
    it was told long or boolean, and no plain dates; the preprocessing reads them all. `labels` is an array of what
    the model gives.
    """
    from mlflow.models.signature import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    answers = {"U": DataType.string, "i": DataType.long, "b": DataType.boolean}
    return ModelSignature(
        inputs=Schema([ColSpec(_kind(feature), feature.name, required=False) for feature in card.features]),
        outputs=Schema([ColSpec(answers.get(labels.dtype.kind, DataType.double))]),
    )


def _kind(feature: Feature) -> Any:
    from mlflow.types import DataType
    from mlflow.types.schema import AnyType

    return DataType.string if feature.kind in ("category", "coded category", "text") else AnyType()
