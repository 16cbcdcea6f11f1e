"""Pipelines and searches: steps before the model, and what the model at the end can say."""

from sklearn_fsmd.compose._ask import ask
from sklearn_fsmd.compose._ask import fitted_model as fitted_model  # these five for other parts, and not public
from sklearn_fsmd.compose._ask import model_of as model_of
from sklearn_fsmd.compose._ask import reach as reach
from sklearn_fsmd.compose._ask import taken_apart as taken_apart
from sklearn_fsmd.compose._ask import transformed as transformed
from sklearn_fsmd.compose._for_task import ForTask
from sklearn_fsmd.compose._output_view import OutputView as OutputView  # which `output_view` returns
from sklearn_fsmd.compose._output_view import output_view
from sklearn_fsmd.compose._time_features import TimeFeatures

__all__ = ["ForTask", "TimeFeatures", "ask", "output_view"]


def __dir__() -> list[str]:
    """What is public: the other names are for other parts of the package."""
    return __all__
