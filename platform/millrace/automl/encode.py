"""A table encoded for other training than the search's: with a registered model's own encoding, or a fresh one."""

from typing import TYPE_CHECKING, Any

from millrace.automl.features import choose_features
from millrace.automl.labels import Target, label_text, read_target
from millrace.automl.preprocess import build_preprocessor
from millrace.automl.split import check_rows, holdout_positions, split, with_target
from millrace.contracts.encoded import EncodedRows
from millrace.contracts.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from millrace.automl.result import ModelCard

HOLDOUT_SHARE = 0.2
"""As in a training plan."""


def encode_trained(frame: "pd.DataFrame", card: "ModelCard", pipeline: Any) -> EncodedRows:
    """The rows that the model was trained on and those it never saw; `make` gives its estimator unfitted.

    Raises:
        BadInput: the model is not a classification with two classes.
        IntegrityBroken: `frame` is not the table that the model was trained on.
    """
    from sklearn.base import clone

    _check_binary(card.task_type, len(card.classes))
    labelled = with_target(frame, card.target)
    target = read_target(frame[card.target].iloc[labelled], card.task_type)
    held = holdout_positions(frame, card)
    estimator = pipeline.named_steps["model"].estimators_[0]
    # one thread: dozens of short fits that wait for each other's threads took 40 times as long on two busy cores, and
    # sums of one thread have the same last digits every time
    alone = {name: 1 for name in ("n_jobs",) if name in estimator.get_params()}

    def make() -> Any:
        return clone(estimator).set_params(**alone)

    return _encoded(frame, labelled, target, held, pipeline.named_steps["preprocess"], make)


def encode_fresh(frame: "pd.DataFrame", target_column: str, *, seed: int) -> EncodedRows:
    """The rows divided and encoded as training would; `make` gives boosted trees of moderate size.

    Raises:
        BadInput: the target has not exactly two values.
        StageFailed: nothing can be learnt from these rows; names the field and the remedy.
    """
    import lightgbm
    import numpy as np

    labelled = with_target(frame, target_column)
    target = read_target(frame[target_column].iloc[labelled], "classification")
    if target.codes is None or target.classes is None:
        raise AssertionError("a classification target has codes")
    _check_binary("classification", len(target.classes))
    counts = np.bincount(target.codes, minlength=2)
    check_rows(
        target_column,
        len(labelled),
        {label_text(label): int(rows) for label, rows in zip(target.classes, counts, strict=True)},
    )
    kept, held = split(target.codes, rows=len(labelled), share=HOLDOUT_SHARE, seed=seed)
    rows = frame.iloc[labelled[kept]]
    features, _ = choose_features(rows, target_column)
    preprocessor = build_preprocessor(features, task_type="classification", classes=2, seed=seed, rows=len(rows))
    preprocessor.fit(rows, target.codes[kept])

    def make() -> Any:
        return lightgbm.LGBMClassifier(
            n_estimators=100, num_leaves=15, learning_rate=0.08, random_state=seed, n_jobs=1,
            deterministic=True, force_row_wise=True, verbose=-1,
        )  # fmt: skip

    return _encoded(frame, labelled, target, labelled[held], preprocessor, make)


def _encoded(
    frame: "pd.DataFrame", labelled: "np.ndarray[Any, Any]", target: Target, held: "np.ndarray[Any, Any]",
    preprocessor: Any, make: Any,
) -> EncodedRows:  # fmt: skip
    import numpy as np

    if target.codes is None or target.classes is None:
        raise AssertionError("a classification target has codes")
    unseen = np.isin(labelled, held)
    parts = [labelled[~unseen], labelled[unseen]]
    matrices = [np.asarray(preprocessor.transform(frame.iloc[part]), dtype="float64") for part in parts]
    first, second = (label_text(label) for label in target.classes)
    return EncodedRows(
        train=parts[0],
        test=parts[1],
        train_matrix=matrices[0],
        test_matrix=matrices[1],
        train_label=target.codes[~unseen],
        test_label=target.codes[unseen],
        classes=(first, second),
        columns=_columns(preprocessor),
        make=make,
    )


def _columns(preprocessor: Any) -> dict[str, tuple[int, ...]]:
    """Feature → its columns in the output; a block is one column's, or one output for each of its columns."""
    found: dict[str, list[int]] = {}
    for block, _, names in preprocessor.transformers_:
        if block == "remainder":
            continue
        place = preprocessor.output_indices_[block]
        outputs = range(place.start, place.stop)
        if isinstance(names, str):
            found.setdefault(names, []).extend(outputs)
        else:
            for name, output in zip(names, outputs, strict=True):
                found.setdefault(name, []).append(output)
    return {name: tuple(outputs) for name, outputs in found.items()}


def _check_binary(task: str, classes: int) -> None:
    if task != "classification" or classes != 2:
        what = task if task != "classification" else f"a target with {classes} values"
        raise BadInput(
            f"only a classification with two values can be mitigated, not {what}",
            field="task_type",
            remedy="measure bias without mitigation, or make the target a yes or no",
        )
