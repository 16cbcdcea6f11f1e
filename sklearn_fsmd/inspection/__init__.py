"""What a fitted model has learned, and what its predictions are made of.

:mod:`sklearn_fsmd.plotting` draws it.
"""

from sklearn_fsmd.inspection._importances import feature_importances

__all__ = ["feature_importances"]
