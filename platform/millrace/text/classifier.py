"""Any sequence classifier as a scorer: texts in, a label with its probability out."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from millrace.contracts.scoring import Score, ScoreKind
from millrace.text.batching import BUDGET_TOKENS, plan_batches
from millrace.text.forms import Forward

_MOST_TOKENS = 512


class TextClassifier:
    """Tokenises, runs batches of like length, and gives each text its label in upper case."""

    kind: ScoreKind = "probability"

    def __init__(
        self, folder: Path, forward: Forward, *, name: str, version: str, budget: int = BUDGET_TOKENS, at_once: int = 1
    ) -> None:
        from transformers import AutoConfig, AutoTokenizer

        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        self._most = min(_MOST_TOKENS, getattr(config, "max_position_embeddings", _MOST_TOKENS) or _MOST_TOKENS)
        self.labels = tuple(str(config.id2label[at]).upper() for at in range(config.num_labels))
        self._padding = self._tokenizer.pad_token_id or 0
        self._forward = forward
        self._budget = budget
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="batch")
        self.name = name
        self.version = version

    def score(self, texts: Sequence[str]) -> Sequence[Score]:
        """One score per text, in their order; a text longer than the model reads is cut."""
        if not texts:
            return []
        rows = self._tokenizer(list(texts), truncation=True, max_length=self._most)["input_ids"]
        scores: list[Score | None] = [None] * len(texts)
        # the longest first: what is left for the end is short, and no thread waits long for the other
        batches = plan_batches([len(row) for row in rows], budget=self._budget)[::-1]
        done = self._pool.map(lambda batch: self._probabilities([rows[at] for at in batch]), batches)
        for batch, given in zip(batches, done, strict=True):
            for at, found in zip(batch, given, strict=True):
                best = int(found.argmax())
                labels = dict(zip(self.labels, map(float, found), strict=True))
                scores[at] = Score(self.labels[best], float(found[best]), labels)
        return [score for score in scores if score is not None]

    def _probabilities(self, rows: list[list[int]]) -> Any:
        import numpy as np

        longest = max(map(len, rows))
        ids = np.full((len(rows), longest), self._padding, dtype=np.int64)
        mask = np.zeros_like(ids)
        for at, row in enumerate(rows):
            ids[at, : len(row)] = row
            mask[at, : len(row)] = 1
        logits = self._forward(ids, mask).astype(np.float64)
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)
