"""A model that `millrace run` registered as a scorer of texts: which column it reads, and what its labels mean."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millrace.contracts.errors import BadInput
from millrace.contracts.scoring import Score, ScoreKind
from millrace.warehouse.imports import import_skops

if TYPE_CHECKING:
    from mlflow.models.signature import ModelSignature

KIND = "registered"
SCHEME = "models:/"
_NAMED = re.compile(r"models:/(?P<name>[^/@\s]+)(?:/(?P<version>[1-9][0-9]{0,8})|@(?P<alias>[A-Za-z0-9_-]{1,100}))")
_REMEDY = (
    "train one whose only feature is a column of text: a file with that column and the target, "
    "`millrace run FILE --target COLUMN`"
)


@dataclass(frozen=True)
class Named:
    """A model in MLflow by version, or by an alias such as `champion` that moves from version to version."""

    name: str
    version: int | None
    alias: str | None

    def with_version(self, version: int) -> str:
        """MLflow's URI of that version."""
        return f"{SCHEME}{self.name}/{version}"


def parse_uri(text: str) -> Named:
    """The model that `models:/user.dataset/3` or `models:/user.dataset@champion` names.

    Raises:
        BadInput: the text has neither form.
    """
    found = _NAMED.fullmatch(text)
    if found is None:
        raise BadInput(
            f"{text[:120]!r} names no registered model",
            field="model",
            remedy="write models:/user.dataset/3, or models:/user.dataset@champion for whichever is the champion",
        )
    version = found["version"]
    return Named(found["name"], None if version is None else int(version), found["alias"])


def text_column(signature: "ModelSignature | None", uri: str) -> str:
    """The one column that the model reads.

    Raises:
        BadInput: it reads several, one that is no text, or does not say what it reads.
    """
    from mlflow.types import DataType

    if signature is None or signature.inputs is None or signature.inputs.is_tensor_spec():
        raise BadInput(f"{uri} has no signature that says which column it reads", field="model", remedy=_REMEDY)
    columns = list(signature.inputs.inputs)
    if len(columns) == 1 and columns[0].name and columns[0].type == DataType.string:
        return str(columns[0].name)
    shown = ", ".join(f"{one.name} (text)" if one.type == DataType.string else str(one.name) for one in columns[:8])
    more = f" and {len(columns) - 8} more" if len(columns) > 8 else ""
    raise BadInput(
        f"{uri} reads {shown}{more}; an event gives it one text and nothing else", field="model", remedy=_REMEDY
    )


class RegisteredScorer:
    """Gives each text the label of the largest probability, in upper case as all scorers do."""

    kind: ScoreKind = "probability"

    def __init__(self, folder: Path, *, column: str, name: str, version: str) -> None:
        """The model whose files are in the folder.

        Raises:
            BadInput: it gives no probabilities.
        """
        import mlflow.sklearn

        import_skops()
        self._model: Any = mlflow.sklearn.load_model(str(folder))
        if not hasattr(self._model, "predict_proba"):
            raise BadInput(f"{name} {version} gives no probabilities", field="model", remedy="train a classification")
        self._column = column
        self.labels = _labels(self._model.classes_)
        self.name = name
        self.version = version

    def score(self, texts: Sequence[str]) -> Sequence[Score]:
        """One score per text, in their order."""
        import pandas as pd

        if not texts:
            return []
        rows = pd.DataFrame({self._column: pd.Series(list(texts), dtype=object)})
        return [self._score(row) for row in self._model.predict_proba(rows)]

    def _score(self, row: Any) -> Score:
        best = int(row.argmax())
        return Score(self.labels[best], float(row[best]), dict(zip(self.labels, map(float, row), strict=True)))


def _labels(classes: Sequence[Any]) -> tuple[str, ...]:
    found = [_label(value) for value in classes]
    upper = [label.upper() for label in found]
    # labels that differ by case alone stay as they are
    return tuple(upper if len(set(upper)) == len(upper) else found)


def _label(value: Any) -> str:
    plain = value.item() if hasattr(value, "item") else value
    return str(int(plain)) if isinstance(plain, float) and plain.is_integer() else str(plain)
