"""VADER, a lexicon with rules for English sentiment (Hutto and Gilbert, ICWSM 2014): a scorer that needs no weights."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from millrace.contracts.scoring import Score, ScoreKind

NAME = "vader"
THRESHOLD = 0.05
"""Of the compound figure, from its authors: at or above it a text is positive, at or below its negative negative."""


def lexicon_paths() -> list[Path]:
    """The files from which VADER knows words and emojis."""
    return [Path(str(files("vaderSentiment") / name)) for name in ("vader_lexicon.txt", "emoji_utf8_lexicon.txt")]


class VaderScorer:
    """Labels POSITIVE, NEGATIVE and NEUTRAL. `value` is the absolute compound figure, for NEUTRAL its complement."""

    name = NAME
    kind: ScoreKind = "proportion"

    def __init__(self) -> None:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

        self._analyzer: Any = SentimentIntensityAnalyzer()

    @cached_property
    def version(self) -> str:
        """Release and the start of the hash of the lexicon and the emojis as they were loaded."""
        parts = (self._analyzer.make_lex_dict(), self._analyzer.make_emoji_dict())
        text = repr([sorted(part.items()) for part in parts])
        return f"{version('vaderSentiment')}+{hashlib.sha256(text.encode('utf-8')).hexdigest()[:12]}"

    def score(self, texts: Sequence[str]) -> Sequence[Score]:
        """One score per text."""
        return [self._score(text) for text in texts]

    def _score(self, text: str) -> Score:
        found = self._analyzer.polarity_scores(text)
        compound = found["compound"]
        labels = {"NEGATIVE": found["neg"], "NEUTRAL": found["neu"], "POSITIVE": found["pos"]}
        if compound >= THRESHOLD:
            return Score("POSITIVE", compound, labels)
        if compound <= -THRESHOLD:
            return Score("NEGATIVE", -compound, labels)
        return Score("NEUTRAL", 1.0 - abs(compound), labels)
