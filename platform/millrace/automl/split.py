"""The fixed hold-out: rows that the search never sees, chosen by the seed alone."""

from typing import TYPE_CHECKING, Any

from millrace.contracts.canonical import sha256_json
from millrace.contracts.errors import IntegrityBroken, StageFailed

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from millrace.automl.result import ModelCard

    Positions = np.ndarray[Any, np.dtype[np.int64]]

MIN_ROWS = 20
"""Fewer rows with a target leave a hold-out on which no figure means anything."""


def split(codes: "np.ndarray[Any, Any] | None", *, rows: int, share: float, seed: int) -> "tuple[Positions, Positions]":
    """Positions (kept, held out), each sorted.

    With class codes, every class gives `share` of its rows, at least one to each side.

    Raises:
        StageFailed: too few rows, or a class with a single row.
    """
    import numpy as np

    generator = np.random.default_rng(seed)
    if codes is None:
        order = generator.permutation(rows)
        held = order[: max(1, round(rows * share))]
    else:
        parts = []
        for code in np.unique(codes):
            members = generator.permutation(np.flatnonzero(codes == code))
            if len(members) > 1:
                parts.append(members[: min(len(members) - 1, max(1, round(len(members) * share)))])
        held = np.concatenate(parts)
    mask = np.zeros(rows, dtype=bool)
    mask[held] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def check_rows(target: str, rows: int, counts: dict[str, int] | None) -> None:
    """Nothing, when the rows with a target can be divided.

    Raises:
        StageFailed: fewer than MIN_ROWS rows, one class only, or a class with a single row.
    """
    if rows < MIN_ROWS:
        raise StageFailed(
            f"only {rows} rows have a value in {target!r}; training needs {MIN_ROWS}",
            field="target",
            remedy="upload more rows, or choose a target with fewer missing values",
        )
    if counts is None:
        return
    if len(counts) < 2:
        raise StageFailed(
            f"target {target!r} has one value only, so there is nothing to learn",
            field="target",
            remedy="choose a target with at least two values",
        )
    single = sorted(label for label, count in counts.items() if count < 2)
    if single:
        shown = ", ".join(repr(label) for label in single[:5]) + (", …" if len(single) > 5 else "")
        raise StageFailed(
            f"{len(single)} of {len(counts)} classes of {target!r} have a single row ({shown}), "
            "so they cannot be both learnt and tested",
            field="target",
            remedy="merge or remove the rare classes, or use task type regression for a numeric target",
        )


def positions_sha256(positions: "Positions") -> str:
    """Hash of the positions, in order."""
    return sha256_json([int(position) for position in positions])


def with_target(frame: "pd.DataFrame", target: str) -> "Positions":
    """Positions of the rows that have a target."""
    import numpy as np

    return np.flatnonzero(frame[target].notna().to_numpy(dtype=bool))


def holdout_positions(frame: "pd.DataFrame", card: "ModelCard") -> "Positions":
    """Positions of the rows of `frame` that the model's search never saw.

    Raises:
        IntegrityBroken: `frame` is not the table that the model was trained on.
    """
    from millrace.automl.labels import read_target

    labelled = with_target(frame, card.target)
    codes = read_target(frame[card.target].iloc[labelled], card.task_type).codes
    _, held = split(codes, rows=len(labelled), share=card.splits.holdout_share, seed=card.seed)
    positions = labelled[held]
    if positions_sha256(positions) != card.splits.holdout_sha256:
        raise IntegrityBroken(
            "the hold-out rows of this table are not those recorded with the model",
            remedy="use the data set version that the model was trained on",
        )
    return positions
