"""Metrics of multi-task ranking, and scorers for cross-validation and grid search.

`Y` is (n, K) or (n,), 0 and 1, NaN where a label was not observed; `P` is (n, K) or (n,), the marginal P(Y_k = 1), or
what ``predict_proba`` returns. Rows whose label is missing are left out, task by task. No result depends on the order
of the rows. `value_mae` and the like are of targets with values.
"""

from sklearn_fsmd.metrics._curves import lift_curve, reliability_curve
from sklearn_fsmd.metrics._grouped import group_auc, ndcg_at_k
from sklearn_fsmd.metrics._inputs import as_column as as_column
from sklearn_fsmd.metrics._inputs import check_count as check_count
from sklearn_fsmd.metrics._inputs import groups_of as groups_of
from sklearn_fsmd.metrics._inputs import keep_nan as keep_nan
from sklearn_fsmd.metrics._models import by_classes as by_classes
from sklearn_fsmd.metrics._outcomes import Outcome as Outcome
from sklearn_fsmd.metrics._outcomes import has_lift as has_lift
from sklearn_fsmd.metrics._outcomes import observations as observations
from sklearn_fsmd.metrics._outcomes import outcomes as outcomes
from sklearn_fsmd.metrics._outcomes import outcomes_of as outcomes_of
from sklearn_fsmd.metrics._outcomes import predictions as predictions
from sklearn_fsmd.metrics._outcomes import refuse_unobserved as refuse_unobserved
from sklearn_fsmd.metrics._outcomes import to_judge as to_judge
from sklearn_fsmd.metrics._per_task import (
    auc_per_task,
    cvr_auc,
    expected_calibration_error,
    mean_auc,
    mean_log_loss,
    multi_task_gain,
)
from sklearn_fsmd.metrics._per_task import log_losses as log_losses
from sklearn_fsmd.metrics._per_task import task_aucs as task_aucs  # for other parts of the package, and not public
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
    """What is public: the other names are for other parts of the package."""
    return __all__
