"""Short reviews with the sentiment that their sentences were written for.

A row is one to three sentences of the same sentiment, an order number that no other row has, and for a share of the
rows the other label: what a reader would have got wrong. Nobody in the table is real.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

TARGET = "sentiment"
TEXT = "text"

_SUBJECTS = (
    "battery", "screen", "hotel", "breakfast", "driver", "support", "app", "camera", "seat", "delivery", "room", "film",
)  # fmt: skip
_GOOD = (
    "I love the {}.", "The {} was wonderful.", "This {} is great and works perfectly.", "I recommend the {}.",
    "The {} made me happy.", "The best {} in years.", "An excellent {}, friendly and helpful.",
)  # fmt: skip
_BAD = (
    "I hate the {}.", "The {} was awful.", "This {} is terrible and broke on the first day.", "I warn of the {}.",
    "The {} made me angry.", "The worst {} in years.", "A useless {}, slow and rude.",
)  # fmt: skip


def generate_reviews(*, rows: int = 2_000, seed: int = 7, mistaken_share: float = 0.03) -> pd.DataFrame:
    """Columns `review` (a row number), `text` and `sentiment` (positive or negative); the same for the same seed."""
    import numpy as np
    import pandas as pd

    generator = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(rows):
        good = bool(generator.random() < 0.5)
        written = generator.choice(_GOOD if good else _BAD, size=generator.integers(1, 4), replace=False)
        said = " ".join(one.format(generator.choice(_SUBJECTS)) for one in written)
        texts.append(f"{said} Order {generator.integers(10**9)}.")
        labels.append(good ^ bool(generator.random() < mistaken_share))
    return pd.DataFrame(
        {"review": np.arange(1, rows + 1), TEXT: texts, TARGET: np.where(labels, "positive", "negative")}
    )


def write_csv(path: Path, *, rows: int = 2_000, seed: int = 7) -> None:
    """Writes the reviews as CSV."""
    generate_reviews(rows=rows, seed=seed).to_csv(path, index=False)
