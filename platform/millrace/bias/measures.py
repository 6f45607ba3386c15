"""The metrics that are measured of every group, and the distances between groups: formula, range and meaning of each.

Definitions as in fairlearn 0.15 (metrics/_metric_frame.py, _fairness_metrics.py) and scikit-learn.
"""

from millrace.bias.catalogue import Metric


def _measure(name: str, title: str, formula: str, span: str, meaning: str) -> tuple[str, Metric]:
    return name, Metric(name, title, formula, span, None, meaning, "either")


MEASURES: dict[str, Metric] = dict(
    [
        _measure("selection_rate", "Selection rate", "ŷ/n", "0 to 1", "share of the group with the outcome"),
        _measure(
            "scoring_rate",
            "Scoring rate",
            "rows above the median of all rows / n",
            "0 to 1",
            "share of the group above the median of everyone",
        ),
        _measure("accuracy", "Accuracy", "(TP+TN)/n", "0 to 1", "share of the group predicted correctly"),
        _measure(
            "true_positive_rate",
            "True positive rate",
            "TP/(TP+FN)",
            "0 to 1",
            "share predicted to have the outcome among those who have it",
        ),
        _measure(
            "false_positive_rate",
            "False positive rate",
            "FP/(FP+TN)",
            "0 to 1",
            "share predicted to have the outcome among those who do not have it",
        ),
        _measure(
            "precision",
            "Precision (predictive parity)",
            "TP/(TP+FP)",
            "0 to 1",
            "share who have the outcome among those predicted to have it",
        ),
        _measure(
            "auc",
            "AUC",
            "P(score of a favourable case > score of an unfavourable one) + ½ P(equal)",
            "0 to 1",
            "chance that a favourable case scores above an unfavourable one of the same group",
        ),
        _measure(
            "equalized_odds",
            "Equalized odds",
            "max(TPR difference, FPR difference)",
            "0 to 1",
            "the larger of the differences in true and in false positive rate",
        ),
        _measure(
            "macro_true_positive_rate",
            "Balanced accuracy (macro recall)",
            "Σ TP_c/(TP_c+FN_c) / classes",
            "0 to 1",
            "mean over the classes of the share found",
        ),
        _measure(
            "macro_precision",
            "Macro precision",
            "Σ TP_c/(TP_c+FP_c) / classes",
            "0 to 1",
            "mean over the classes of the share that is right",
        ),
        _measure("mean", "Mean", "Σ y / n", "any", "average of the target"),
        _measure("mean_prediction", "Mean prediction", "Σ ŷ / n", "any", "average of the predictions"),
        _measure(
            "mean_error",
            "Mean error",
            "Σ (ŷ − y) / n",
            "any",
            "average of prediction minus truth; above zero means predicted too high",
        ),
        _measure("mae", "Mean absolute error", "Σ |ŷ − y| / n", "0 and above", "average size of the error"),
        _measure(
            "rmse",
            "Root mean squared error",
            "√(Σ (ŷ − y)² / n)",
            "0 and above",
            "size of the error with large ones counted more",
        ),
        _measure(
            "r2",
            "R²",
            "1 − Σ (ŷ − y)² / Σ (y − mean y)², means of the group",
            "up to 1",
            "share of the group's variance that the model explains",
        ),
    ]
)
DISTANCE_FORMULAS = {
    "difference": "largest group value − smallest group value",
    "ratio": "smallest group value / largest group value",
    "standardised_difference": "(largest − smallest group value) / standard deviation of the target over all rows",
}
"""How a distance is made of the metric that its name begins with."""
