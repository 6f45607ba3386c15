"""Which form of a model is used here: timed on this processor, compared with the model itself, chosen once."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from millrace.contracts.canonical import sha256_file
from millrace.contracts.scoring import Score
from millrace.text.candidates import Candidate, candidate, only_candidate, timed
from millrace.text.classifier import TextClassifier
from millrace.text.forms import FORMS, Form, batches_at_once, export, forward_of
from millrace.text.golden import GOLDEN
from millrace.text.vader import NAME as VADER
from millrace.text.vader import VaderScorer, lexicon_paths
from millrace.text.weights import described, file_list, files_sha256, hub_revision, locate


def choose(source: str, *, cache: Path, threads: int | None = None, offline: bool = False) -> dict[str, Any]:
    """What to pin for the model `source` (hub id, folder or `vader`): hashes, the form, and the candidates' figures.

    Raises:
        CannotReach: the hub does not give the files.
        BadInput: they are no such model.
    """
    if source == VADER:
        return _vader()
    folder = locate(source, offline=offline)
    threads = threads or os.cpu_count() or 1
    digest = files_sha256(folder)
    files = export(folder, cache / digest[:16])
    reference: Sequence[Score] = ()
    found: dict[Form, Candidate] = {}
    for form in FORMS:
        forward = forward_of(form, folder, files, threads=threads)
        scorer = TextClassifier(
            folder, forward, name=source, version=_version(digest, form), at_once=batches_at_once(form, threads=threads)
        )
        scores, speed = timed(scorer)
        reference = reference or scores
        found[form] = candidate(form, scores, speed, reference=reference)
    kept = [form for form in FORMS if not found[form].refused]
    best = max(kept, key=lambda form: found[form].texts_per_second)
    return {
        "kind": "transformer",
        "source": source,
        "revision": hub_revision(folder),
        "folder": str(folder),
        "files": file_list(folder),
        "files_sha256": digest,
        "form": best,
        "onnx_sha256": sha256_file(files[best]) if best in files else None,
        "onnx": str(files[best]) if best in files else None,
        "threads": threads,
        "version": _version(digest, best),
        "candidates": [one.to_json() for one in found.values()],
        "golden": len(GOLDEN),
    }


def _vader() -> dict[str, Any]:
    scorer = VaderScorer()
    return {
        "kind": VADER,
        "source": VADER,
        "files": [described(path) for path in lexicon_paths()],
        "form": "lexicon",
        "version": scorer.version,
        "candidates": [only_candidate("lexicon", scorer).to_json()],
        "golden": len(GOLDEN),
    }


def _version(digest: str, form: Form) -> str:
    return f"{digest[:12]}+{form}"
