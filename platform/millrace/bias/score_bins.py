"""Scores of a model counted in bins: enough to redraw every decision that a threshold would make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from millrace.bias.score_figures import ScoreBins, ScoreCounts

if TYPE_CHECKING:
    import numpy as np

    from millrace.bias.groups import Grouping

BINS = 100
"""Bins of equal width where scores are chances, of about equal size where they are ranks."""


def count_scores(scores: np.ndarray, positive: np.ndarray, grouping: Grouping, *, chances: bool) -> ScoreBins:
    """Rows of every group by bin of the score, those without and those with the favourable outcome apart."""
    import numpy as np

    starts = _starts(scores, chances=chances)
    places = np.searchsorted(starts, scores, side="right") - 1
    groups, bins = len(grouping.names), len(starts)
    keys = (grouping.codes * bins + places) * 2 + positive
    table = np.bincount(keys, minlength=groups * bins * 2).reshape(groups, bins, 2)
    return ScoreBins(
        starts=tuple(float(start) for start in starts),
        groups=tuple(
            ScoreCounts(name, tuple(table[index, :, 0].tolist()), tuple(table[index, :, 1].tolist()))
            for index, name in enumerate(grouping.names)
        ),
    )


def _starts(scores: np.ndarray, *, chances: bool) -> np.ndarray:
    import numpy as np

    if chances:
        return np.arange(BINS) / BINS
    starts: np.ndarray = np.unique(np.quantile(scores, np.arange(BINS) / BINS, method="inverted_cdf"))
    return starts
