"""Bytes hashed again: artifacts in the store, and the files of models as MLflow serves them."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from millrace.contracts.canonical import CHUNK_BYTES
from millrace.contracts.errors import CannotReach, NotFound
from millrace.contracts.references import Ref
from millrace.lineage.loading import Step
from millrace.lineage.verification import Failure, Unchecked, What
from millrace.warehouse.artifacts import ArtifactStore

Progress = Callable[[int, int, str], None]
"""Called with (done, total, what is next) before each thing that is hashed."""


@dataclass(frozen=True)
class Holding:
    """A node's claim to bytes: this piece of it has this hash, says this statement."""

    ref: str
    part: str | None
    statement_id: int | None


@dataclass
class Contents:
    """Hash → the nodes that hold it, for artifacts; (reference, hash) → holding, for models."""

    artifacts: dict[str, list[Holding]] = field(default_factory=lambda: defaultdict(list))
    models: dict[tuple[str, str], Holding] = field(default_factory=dict)


def contents_of(steps: Iterable[Step], also: Iterable[str] = ()) -> Contents:
    """Everything that the steps put out or read, each content once; `also` names artifacts that no step names."""
    found = Contents()
    for step in steps:
        for ref in (*step.outputs, *step.inputs):
            _add(found, ref, step.row.id)
    for sha256 in also:
        if sha256 not in found.artifacts:
            found.artifacts[sha256].append(Holding(f"artifact:{sha256}", None, None))
    return found


def altered_artifacts(
    store: ArtifactStore, artifacts: dict[str, list[Holding]], tell: Callable[[str], None]
) -> Iterator[Failure | Unchecked]:
    """A failure for every node whose bytes are other bytes now, or gone."""
    for sha256, holdings in artifacts.items():
        tell(holdings[0].ref)
        try:
            found = _hash(store, sha256)
        except NotFound:
            yield from (_failure(one, "artifact missing", sha256, None) for one in holdings)
        except OSError as error:
            yield from (Unchecked(one.ref, f"the artifact store does not give it ({error})") for one in holdings)
        else:
            if found != sha256:
                yield from (_failure(one, "artifact altered", sha256, found) for one in holdings)


def altered_models(
    models: dict[tuple[str, str], Holding], hash_model: Callable[[str], str], tell: Callable[[str], None]
) -> Iterator[Failure | Unchecked]:
    """A failure for every model whose files are others now, or gone; one that cannot be reached ends the trying."""
    away: CannotReach | None = None
    for (ref, sha256), holding in models.items():
        tell(ref)
        if away is not None:
            yield Unchecked(ref, away.message)
            continue
        try:
            found = hash_model(model_uri(ref))
        except NotFound:
            yield _failure(holding, "model missing", sha256, None)
        except CannotReach as error:
            away = error
            yield Unchecked(ref, error.message)
        else:
            if found != sha256:
                yield _failure(holding, "model altered", sha256, found)


def model_uri(ref: str) -> str:
    """MLflow's name for `model:user.data@v2`: `models:/user.data/2`."""
    name, _, version = ref.removeprefix("model:").partition("@v")
    return f"models:/{name}/{version}"


def counted(progress: Progress | None, total: int) -> Callable[[str], None]:
    """`progress` with the counting done."""
    done = 0

    def tell(name: str) -> None:
        nonlocal done
        if progress is not None:
            progress(done, total, name)
        done += 1

    return tell


def _add(found: Contents, ref: Ref, statement_id: int) -> None:
    holding = Holding(ref.ref, ref.part, statement_id)
    if ref.kind == "model":
        found.models.setdefault((ref.ref, ref.sha256), holding)
    elif not _is_held(found.artifacts[ref.sha256], ref):
        found.artifacts[ref.sha256].append(holding)


def _is_held(holdings: Sequence[Holding], ref: Ref) -> bool:
    return any(one.ref == ref.ref and (ref.part is None or one.part == ref.part) for one in holdings)


def _hash(store: ArtifactStore, sha256: str) -> str:
    digest = hashlib.sha256()
    with store.open(sha256) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _failure(one: Holding, what: What, expected: str, found: str | None) -> Failure:
    return Failure(one.ref, what, one.part, one.statement_id, expected, found)
