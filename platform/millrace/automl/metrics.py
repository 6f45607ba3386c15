"""Figures of a model on one set of rows."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def classification_metrics(codes: "Array", probabilities: "Array", *, positive: int) -> dict[str, float]:
    """Accuracy, balanced accuracy, F1, log loss, and ROC AUC where it is defined.

    `codes` are class positions, `probabilities` has a column for every class. For two classes F1 and ROC AUC are
    those of class `positive`; for more, F1 is the macro mean and ROC AUC the macro mean of one class against the rest.
    ROC AUC is left out when some class has no row.
    """
    import numpy as np
    from sklearn import metrics

    classes = probabilities.shape[1]
    predicted = probabilities.argmax(axis=1)
    present = np.unique(codes)
    # the mean recall of the classes that are there; scikit-learn's function warns about predicted classes that are not
    recalls = [float((predicted[codes == code] == code).mean()) for code in present]
    figures = {
        "accuracy": float((predicted == codes).mean()),
        "balanced_accuracy": float(np.mean(recalls)),
        "log_loss": float(metrics.log_loss(codes, probabilities, labels=np.arange(classes))),
    }
    if classes == 2:
        hits = codes == positive
        figures["f1"] = float(metrics.f1_score(hits, predicted == positive, zero_division=0))
        if len(present) == 2:
            figures["roc_auc"] = float(metrics.roc_auc_score(hits, probabilities[:, positive]))
    else:
        figures["f1"] = float(
            metrics.f1_score(codes, predicted, labels=np.arange(classes), average="macro", zero_division=0)
        )
        if len(present) == classes:
            areas = [metrics.roc_auc_score(codes == code, probabilities[:, code]) for code in range(classes)]
            figures["roc_auc"] = float(np.mean(areas))
    return figures


def regression_metrics(values: "Array", predicted: "Array") -> dict[str, float]:
    """R², mean absolute error, root mean squared error."""
    import numpy as np
    from sklearn import metrics

    return {
        "r2": float(metrics.r2_score(values, predicted)),
        "mae": float(metrics.mean_absolute_error(values, predicted)),
        "rmse": float(np.sqrt(metrics.mean_squared_error(values, predicted))),
    }


def headline(figures: dict[str, float]) -> float:
    """The figure that the seed's payload calls accuracy: accuracy, or R² for regression."""
    return figures["accuracy"] if "accuracy" in figures else figures["r2"]
