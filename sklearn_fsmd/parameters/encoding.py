"""How a table is encoded."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Literal

from sklearn.utils._param_validation import Interval, StrOptions

from sklearn_fsmd.parameters.declare import estimator


@estimator
class EncodingParameters:
    """What can be chosen of how a table is encoded.

    Parameters
    ----------
    categorical_features : {"from_dtype", "all"}, None, array-like or callable, default="from_dtype"
        Which columns hold categories: those of category, string, object or bool dtype; all; none; or those of a
        boolean mask, indices, names or a callable that is given X. Integers are positions, whatever the names. In a
        category the numbers −1 and −2 are missing values, as encoders mark what they do not know.
    numeric_scaling : {"standard", "quantile"} or None, default="standard"
        How numeric columns are scaled: to mean 0 and variance 1, or to ranks among the values of fit. Values outside
        the range that fit has seen are clipped to it. With None numbers are left as they are.
    numeric_bins : int, default=48
        Number of bins into which numeric columns are cut, in addition; the bins have embeddings. A missing number has
        a bin of its own. With 0 there are none, and a missing number counts as the mean.
    min_frequency : int or "auto", default="auto"
        Categories seen less often in fit share the embedding of unknown values. By "auto" a category that was seen once
        is known too, except in columns in which more than half of the rows, those without a value left out, hold a
        value that no other row has. Such a column numbers the rows, and a network would learn them by heart. Validation
        rows count too. In a column of lists each value counts.
    """

    categorical_features: Any = "from_dtype"
    numeric_scaling: Literal["standard", "quantile"] | None = "standard"
    numeric_bins: int = 48
    min_frequency: int | Literal["auto"] = "auto"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "categorical_features": ["array-like", StrOptions({"from_dtype", "all"}), callable, None],
        "numeric_bins": [Interval(Integral, 0, None, closed="left")],
        "min_frequency": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    }


@estimator
class InputParameters(EncodingParameters):
    """What can be chosen of how the table of a :class:`~sklearn_fsmd.MultiTaskClassifier` is encoded.

    Parameters
    ----------
    interpolate_bins : bool or "auto", default="auto"
        Whether a number's embedding lies between those of its bin and of the bin beside it: on a straight line from the
        mean of one to the mean of the other (a piecewise linear encoding), instead of being that of the bin. By "auto"
        it does where no column of categories or lists has more than 100 known values: where ids say most, the exact
        number adds little. A step of training takes longer. It has no effect without bins.
    list_features : "auto", array-like, callable or None, default="auto"
        Which columns hold lists of categories, such as tags or the last items of a user: "auto" takes those of whose
        first values most are lists, tuples, sets or arrays, and no vectors; or a boolean mask, indices, names or a
        callable; None takes none. Each value of a list has an embedding, and a row the pooled ones; an empty or missing
        list has zeros. Missing values in a list, and so the numbers −1 and −2, are left out.
    list_separator : str or None, default=None
        What separates the values of lists that are written as strings; their columns are named by `list_features`.
    max_list_length : int, default=1000
        Of longer lists the last values are taken. Sets are sorted before, since they have no order.
    shared_embeddings : dict or None, default=None
        For columns of lists, by name, the category column with which they share vocabulary and embeddings:
        ``{"last_videos": "video_id"}``.
    vector_features : "auto", array-like, callable or None, default="auto"
        Which columns hold vectors, such as an embedding of each item's picture: "auto" takes those of whose first
        values most are lists, tuples or arrays of floats; or a boolean mask, indices, names or a callable; None takes
        none. The vectors of a column are of one length. Each component is scaled to mean 0 and variance 1, whatever
        `numeric_scaling` says. A linear map, which is learned, makes an embedding of a vector. A missing vector counts
        as the mean.
    bias_features : array-like, callable or None, default=None
        Columns that say how an impression was shown (position, tab, …), by a boolean mask, indices, names or a
        callable. The network does not read these columns. In training a small tower reads them: it adds to the first
        task's logit, and absorbs the effect of the position. Predictions need no such columns. For the first task and
        its descendants in the link they are those of an item in a good position.
    pretrain_features : array-like, callable or None, default=None
        Columns that pretraining reads and reconstructs, by a boolean mask, indices, names or a callable; None for all.
        Those of lists and vectors are left out.
    target_statistics : {"ordered"} or None, default="ordered"
        Whether the network also reads, for the categories of `statistics_features`, how often a value was seen and how
        often each target, and each step after its parent, followed it. For a row of training this is known of the rows
        before it in a random order, so that no row sees its own label (in their own order with ``validation="last"``,
        but for `fit_dataset`, which mixes the rows); for all others, of all rows that were counted: those of X, and
        those that `update_statistics` was told of.
    statistics_features : "auto" or list, default="auto"
        The columns, and tuples of columns whose values are taken together, by names or positions. "auto" begins with
        the categories of more than 100 known values; without such there are no statistics. With 500 validation rows or
        more it drops those whose rates tell nothing of them. If there are validation rows, it then adds up to four
        that tell something new of these: other columns of more than ten values, and pairs with the column of most
        values.
    new_categories : {"unknown", "grow"}, default="unknown"
        What becomes of values that come up later, in `partial_fit`, `update_statistics` or with `warm_start`. With
        "unknown" they count as unknown ones. With "grow" those that have been seen `min_frequency` times since fit get
        rows of their own in the tables, which begin as the row of unknown values; all others keep theirs. The rows
        count as new ones then: what they say of the targets adds to the statistics of before, with `warm_start` too.
        The columns of `bias_features` do not grow.
    """

    interpolate_bins: bool | Literal["auto"] = "auto"
    list_features: Any = "auto"
    vector_features: Any = "auto"
    list_separator: str | None = None
    max_list_length: int = 1000
    shared_embeddings: dict[str, str] | None = None
    bias_features: Any = None
    pretrain_features: Any = None
    target_statistics: Literal["ordered"] | None = "ordered"
    statistics_features: Any = "auto"
    new_categories: Literal["unknown", "grow"] = "unknown"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "interpolate_bins": ["boolean", StrOptions({"auto"})],
        "list_features": ["array-like", StrOptions({"auto"}), callable, None],
        "vector_features": ["array-like", StrOptions({"auto"}), callable, None],
        "list_separator": [str, None],
        "max_list_length": [Interval(Integral, 1, None, closed="left")],
        "shared_embeddings": [dict, None],
        "bias_features": ["array-like", callable, None],
        "pretrain_features": ["array-like", callable, None],
        "statistics_features": [StrOptions({"auto"}), list, tuple],
    }
