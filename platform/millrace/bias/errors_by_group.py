"""Predictions of numbers: means and errors by group, with standard errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from millrace.bias.distributions import distributions_by_group
from millrace.bias.estimates import Estimates, compared, estimate_disparity, measure_estimates
from millrace.bias.figures import AttributeReport
from millrace.bias.groups import Grouping
from millrace.bias.numbers import group_means
from millrace.bias.rates import compared as rates_compared
from millrace.bias.rates import measure_rates, rate_disparity
from millrace.bias.scoring_rates import scoring_rates
from millrace.bias.significance import estimate_significance, rate_significance
from millrace.bias.table import count_groups, seed_of

if TYPE_CHECKING:
    import numpy as np

    from millrace.bias.policy import Policy


def regressed(
    name: str, grouping: Grouping, *, truth: np.ndarray, predicted: np.ndarray, policy: Policy, seed: int
) -> AttributeReport:
    """Mean prediction, mean error, MAE, RMSE, R² and scoring rate by group, and their distances, for one column."""
    import numpy as np

    deviation = float(truth.std(ddof=1)) if len(truth) > 1 else 0.0
    prediction, bias, mae, rmse, r2 = _estimates(grouping, truth, predicted)
    together = Grouping(np.zeros(len(truth), dtype=np.int64), ("all",), ("",), "all rows")
    every = (prediction, bias, mae, rmse, r2)
    chance = seed_of(seed, name, "scoring_rate")
    above = scoring_rates(predicted, grouping)
    return AttributeReport(
        attribute=name,
        distributions=distributions_by_group(
            predicted,
            predicted - truth,
            grouping,
            rates_compared(above, grouping, policy),
            deviation=deviation,
            policy=policy,
            seed=chance,
        ),
        grouping=grouping.how,
        groups=count_groups(grouping, name=name, policy=policy),
        measures=(
            *(
                measure_estimates(item, grouping, policy, overall=float(whole.values[0]))
                for item, whole in zip(every, _estimates(together, truth, predicted), strict=True)
            ),
            measure_rates(above, grouping, policy),
        ),
        significance=(
            *(estimate_significance(item, compared(item, grouping, policy)) for item in every),
            rate_significance(
                above, rates_compared(above, grouping, policy), permutations=policy.permutations, seed=chance
            ),
        ),
        disparities=(
            *(
                estimate_disparity(item, grouping, kind="standardised_difference", policy=policy, scale=deviation)
                for item in (prediction, bias)
            ),
            *(estimate_disparity(item, grouping, kind="ratio", policy=policy) for item in (mae, rmse)),
            estimate_disparity(r2, grouping, kind="difference", policy=policy),
            rate_disparity(above, grouping, kind="ratio", policy=policy, seed=chance),
        ),
    )


def _estimates(grouping: Grouping, truth: np.ndarray, predicted: np.ndarray) -> list[Estimates]:
    import numpy as np

    error = predicted - truth
    prediction, prediction_error, rows = group_means(predicted, grouping)
    bias, bias_error, _ = group_means(error, grouping)
    mae, mae_error, _ = group_means(np.abs(error), grouping)
    square, square_error, _ = group_means(error**2, grouping)
    centre, _, _ = group_means(truth, grouping)
    away = (truth - centre[grouping.codes]) ** 2
    variance, _, _ = group_means(away, grouping)
    with np.errstate(divide="ignore", invalid="ignore"):
        # delta method: standard errors through the derivative of the root, and through the influence function of R²
        rmse = np.sqrt(square)
        rmse_error = square_error / (2 * rmse)
        r2 = np.where(variance > 0, 1 - square / variance, np.nan)
        unexplained = (1 - r2)[grouping.codes]
        influence = (error**2 - unexplained * away) / variance[grouping.codes]
    known = np.where(np.isfinite(influence), influence, 0.0)
    _, r2_error, _ = group_means(known, grouping)
    return [
        Estimates("mean_prediction", "target", prediction, prediction_error, rows),
        Estimates("mean_error", "target", bias, bias_error, rows),
        Estimates("mae", "target", mae, mae_error, rows),
        Estimates("rmse", "target", rmse, rmse_error, rows),
        Estimates("r2", "share", r2, r2_error, rows),
    ]
