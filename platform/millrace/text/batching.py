"""Batches of texts of like length, bounded by tokens and not by rows."""

from collections.abc import Sequence

BUDGET_TOKENS = 256
"""Padded tokens of a batch. Larger ones are no faster, pad more, and leave threads without work when texts are few."""
MOST_ROWS = 128


def plan_batches(lengths: Sequence[int], *, budget: int = BUDGET_TOKENS, most_rows: int = MOST_ROWS) -> list[list[int]]:
    """Positions in batches, shortest texts first; rows × longest of a batch stays within the budget, but for a single
    text that is longer by itself."""
    batches: list[list[int]] = []
    for at in sorted(range(len(lengths)), key=lengths.__getitem__):
        batch = batches[-1] if batches else None
        # sorted: the one that is added is the longest
        if batch is None or len(batch) >= most_rows or (len(batch) + 1) * lengths[at] > budget:
            batches.append([at])
        else:
            batch.append(at)
    return batches
