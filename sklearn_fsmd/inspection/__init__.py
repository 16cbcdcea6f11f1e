"""Tools that explain and evaluate a fitted model: importances, attributions, embeddings and tables of metrics.

:mod:`sklearn_fsmd.plotting` plots their results.
"""

from sklearn_fsmd.inspection._attributions import attributions
from sklearn_fsmd.inspection._importances import feature_importances
from sklearn_fsmd.inspection._item_vectors import item_vectors
from sklearn_fsmd.inspection._metric_table import metric_table
from sklearn_fsmd.inspection._unseen_values import unseen_values

__all__ = ["attributions", "feature_importances", "item_vectors", "metric_table", "unseen_values"]
