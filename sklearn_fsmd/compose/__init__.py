"""Tools for Pipelines and searches: steps before the model, and access to the model at the end."""

from sklearn_fsmd.compose._ask import apply_steps as apply_steps
from sklearn_fsmd.compose._ask import ask
from sklearn_fsmd.compose._ask import fitted_model as fitted_model
from sklearn_fsmd.compose._ask import model_of as model_of
from sklearn_fsmd.compose._ask import rows_and_model as rows_and_model
from sklearn_fsmd.compose._ask import split_pipeline as split_pipeline
from sklearn_fsmd.compose._for_task import ForTask
from sklearn_fsmd.compose._output_view import OutputView as OutputView
from sklearn_fsmd.compose._output_view import output_view
from sklearn_fsmd.compose._time_features import TimeFeatures

__all__ = ["ForTask", "TimeFeatures", "ask", "output_view"]


def __dir__() -> list[str]:
    """The public names; the package uses the others internally."""
    return __all__
