"""Which form of a model is used here: timed on this processor, compared with the model itself, chosen once."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from millrace.contracts.errors import BadInput, IntegrityBroken
from millrace.contracts.scoring import Score, Scorer
from millrace.text.classifier import TextClassifier
from millrace.text.forms import FORMS, REFERENCE, Form, export, forward_of
from millrace.text.golden import GOLDEN
from millrace.text.vader import NAME as VADER
from millrace.text.vader import VaderScorer
from millrace.text.weights import file_sha256, files_sha256, locate

MOST_LOSS_POINTS = 0.5
"""Points of accuracy that a faster form may lose against the model as it is."""
_ROUNDS = 2


@dataclass(frozen=True)
class Candidate:
    """A form of the model. `accuracy` is on the golden set, None where the model has other labels; `agreement` is the
    share of golden texts that get the label which the model itself gives; `loss_points` is the accuracy lost, or where
    there is none, 100 × the disagreement."""

    form: Form
    texts_per_second: float
    accuracy: float | None
    agreement: float
    loss_points: float

    @property
    def refused(self) -> bool:
        """Whether it loses too much."""
        return self.loss_points > MOST_LOSS_POINTS


def choose(source: str, *, cache: Path, threads: int | None = None, offline: bool = False) -> dict[str, Any]:
    """What to pin for the model `source` (hub id, folder or `vader`): hashes, the form, and the candidates' figures.

    Raises:
        CannotReach: the hub does not give the files.
        BadInput: they are no such model.
    """
    if source == VADER:
        return {"kind": VADER, "source": VADER, "version": VaderScorer().version}
    folder = locate(source, offline=offline)
    threads = threads or os.cpu_count() or 1
    digest = files_sha256(folder)
    files = export(folder, cache / digest[:16])
    reference: Sequence[Score] = ()
    found: list[Candidate] = []
    for form in FORMS:
        forward = forward_of(form, folder, files, threads=threads)
        scorer = TextClassifier(folder, forward, name=source, version=_version(digest, form))
        scores, speed = _timed(scorer)
        reference = reference or scores
        found.append(_candidate(form, scores, reference, speed))
    best = max((one for one in found if not one.refused), key=lambda one: one.texts_per_second)
    return {
        "kind": "transformer",
        "source": source,
        "folder": str(folder),
        "files_sha256": digest,
        "form": best.form,
        "onnx_sha256": file_sha256(files[best.form]) if best.form in files else None,
        "onnx": str(files[best.form]) if best.form in files else None,
        "threads": threads,
        "version": _version(digest, best.form),
        "candidates": [asdict(one) | {"refused": one.refused} for one in found],
        "golden": len(GOLDEN),
    }


def scorer_of(pinned: Mapping[str, Any]) -> Scorer:
    """The scorer that was pinned, after its files were found to be those that were chosen.

    Raises:
        IntegrityBroken: a file is not what it was.
        BadInput: what is pinned is of no kind that this version of the code knows.
    """
    if pinned["kind"] == VADER:
        scorer = VaderScorer()
        _same("the release and lexicon of vader", scorer.version, pinned["version"])
        return scorer
    if pinned["kind"] != "transformer":
        raise BadInput(f"a pinned model of kind {pinned['kind']!r}", field="model", remedy="choose a model anew")
    folder = locate(pinned["folder"], offline=True)
    _same(f"the files in {folder}", files_sha256(folder), pinned["files_sha256"])
    files = {}
    if pinned["onnx"] is not None:
        path = Path(pinned["onnx"])
        files = {pinned["form"]: path}
        # made anew where the cache was emptied
        if not path.exists():
            export(folder, path.parent)
        _same(str(path), file_sha256(path), pinned["onnx_sha256"])
    forward = forward_of(pinned["form"], folder, files, threads=pinned["threads"])
    return TextClassifier(folder, forward, name=pinned["source"], version=pinned["version"])


def _same(what: str, found: str, pinned: str) -> None:
    if found != pinned:
        raise IntegrityBroken(
            f"{what}: {found} is there, {pinned} was pinned; a stream never changes its model by itself",
            field="model",
            remedy="put the files back, or choose the model anew with `millrace stream model SOURCE`",
        )


def _version(digest: str, form: Form) -> str:
    return f"{digest[:12]}+{form}"


def _timed(scorer: TextClassifier) -> tuple[Sequence[Score], float]:
    texts = [text for text, _ in GOLDEN]
    scores = scorer.score(texts)
    spent = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        scorer.score(texts)
        spent.append(time.perf_counter() - began)
    return scores, len(texts) / min(spent)


def _candidate(form: Form, scores: Sequence[Score], reference: Sequence[Score], speed: float) -> Candidate:
    agreement = sum(one.label == other.label for one, other in zip(scores, reference, strict=True)) / len(scores)
    accuracy, before = _accuracy(scores), _accuracy(reference)
    lost = 1 - agreement if accuracy is None or before is None else max(0.0, before - accuracy)
    loss = 0.0 if form == REFERENCE else 100 * lost
    return Candidate(form, round(speed, 1), accuracy, agreement, round(loss, 3))


def _accuracy(scores: Sequence[Score]) -> float | None:
    known = {"POSITIVE", "NEGATIVE"}
    if not known <= set(scores[0].labels):
        return None
    return sum(score.label == label for score, (_, label) in zip(scores, GOLDEN, strict=True)) / len(scores)
