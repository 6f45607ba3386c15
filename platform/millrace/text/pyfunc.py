"""Scoring models as MLflow loads them: `load_model("models:/score_events/3").predict([{"text": "I love it"}])`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from millrace.contracts.scoring import Scorer
from millrace.text.stored import scorer_in

if TYPE_CHECKING:
    import pandas as pd

TEXT = "text"


def _load_pyfunc(path: str) -> "_Loaded":
    # the name is MLflow's
    return _Loaded(scorer_in(Path(path)))


class _Loaded:
    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    def predict(self, model_input: "pd.DataFrame", params: dict[str, Any] | None = None) -> "pd.DataFrame":
        """A row per text: label, its figure, and the figures of all labels."""
        import pandas as pd

        scores = self._scorer.score([str(text) for text in model_input[TEXT]])
        rows = [{"label": one.label, "score": one.value, **dict(one.labels)} for one in scores]
        return pd.DataFrame(rows)
