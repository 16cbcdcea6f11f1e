"""Metrics for multi-task ranking, and scorers for cross-validation and grid search.

`Y` has the shape (n, K) or (n,) and holds two classes per column, such as 0 and 1, or NaN where a label was not
observed. `P` has the shape (n, K) or (n,) and holds the marginals P(Y_k = 1); the result of ``predict_proba`` is
accepted too. Rows with a missing label are left out, task by task. No metric depends on the order of the rows.
`value_mae`, `value_rmse`, `concordance` and `decile_bias` are for targets with values.
"""

from sklearn_fsmd.metrics._curves import lift_curve, reliability_curve
from sklearn_fsmd.metrics._grouped import group_auc, ndcg_at_k
from sklearn_fsmd.metrics._inputs import as_column as as_column
from sklearn_fsmd.metrics._inputs import check_count as check_count
from sklearn_fsmd.metrics._inputs import groups_of as groups_of
from sklearn_fsmd.metrics._inputs import keep_nan as keep_nan
from sklearn_fsmd.metrics._labels import by_classes as by_classes
from sklearn_fsmd.metrics._outcomes import Outcome as Outcome
from sklearn_fsmd.metrics._outcomes import has_lift as has_lift
from sklearn_fsmd.metrics._outcomes import named_observations as named_observations
from sklearn_fsmd.metrics._outcomes import observations as observations
from sklearn_fsmd.metrics._outcomes import outcomes as outcomes
from sklearn_fsmd.metrics._outcomes import outcomes_of as outcomes_of
from sklearn_fsmd.metrics._outcomes import predictions as predictions
from sklearn_fsmd.metrics._outcomes import refuse_unobserved as refuse_unobserved
from sklearn_fsmd.metrics._outcomes import with_value_parents as with_value_parents
from sklearn_fsmd.metrics._per_task import (
    auc_per_task,
    cvr_auc,
    expected_calibration_error,
    mean_auc,
    mean_log_loss,
    multi_task_gain,
)
from sklearn_fsmd.metrics._per_task import log_losses as log_losses
from sklearn_fsmd.metrics._per_task import step_aucs as step_aucs
from sklearn_fsmd.metrics._per_task import task_aucs as task_aucs
from sklearn_fsmd.metrics._scorers import get_scorer, get_scorer_names
from sklearn_fsmd.metrics._segments import column_named as column_named
from sklearn_fsmd.metrics._segments import cuts_of as cuts_of
from sklearn_fsmd.metrics._segments import segments_by_name as segments_by_name
from sklearn_fsmd.metrics._segments import sizes_of as sizes_of
from sklearn_fsmd.metrics._values import concordance, decile_bias, value_mae, value_rmse

__all__ = [
    "auc_per_task",
    "concordance",
    "cvr_auc",
    "decile_bias",
    "expected_calibration_error",
    "get_scorer",
    "get_scorer_names",
    "group_auc",
    "lift_curve",
    "mean_auc",
    "mean_log_loss",
    "multi_task_gain",
    "ndcg_at_k",
    "reliability_curve",
    "value_mae",
    "value_rmse",
]


def __dir__() -> list[str]:
    """The public names; the package uses the others internally."""
    return __all__
