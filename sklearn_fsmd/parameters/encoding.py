"""Parameters of the encoding of a table."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Literal

from sklearn.utils._param_validation import Interval, StrOptions

from sklearn_fsmd.parameters.declare import estimator


@estimator
class EncodingParameters:
    """Parameters of the encoding of a table.

    Parameters
    ----------
    categorical_features : {"from_dtype", "all"}, None, array-like or callable, default="from_dtype"
        Which columns hold categories. "from_dtype" selects the columns of category, string, object or bool dtype,
        "all" selects all columns, and None selects no column. Or pass a boolean mask, indices, names, or a callable
        that gets X and returns one of these. Integers are always positions, even if the names are integers too. In a
        category the numbers −1 and −2 count as missing values, since encoders use them to mark these. Missing values
        have an embedding of their own, if fit has seen at least `min_frequency` of them.
    numeric_scaling : {"standard", "quantile"} or None, default="standard"
        How numeric columns are scaled. "standard" scales to mean 0 and variance 1, and "quantile" replaces each value
        by its rank among the values of fit. Values outside the range of fit are clipped to it. With None numbers are
        left unchanged.
    numeric_bins : int, default=48
        Number of bins into which each numeric column is also cut. Each bin has an embedding, and missing numbers have
        a bin of their own. With 0 there are no bins, and a missing number counts as the mean.
    min_frequency : int or "auto", default="auto"
        Categories that occur fewer times than this in fit share the embedding of unknown values. Validation rows are
        counted too. In a column of lists each value is counted. "auto" keeps categories that occur once, except in row
        identifiers: columns in which more than half of the rows with a value hold one that no other row has. A network
        would memorise the rows by such a column.
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
    """Parameters of the encoding of the table of a :class:`~sklearn_fsmd.MultiTaskClassifier`.

    Parameters
    ----------
    interpolate_bins : bool or "auto", default="auto"
        Whether the embedding of a number is interpolated linearly between the embeddings of its bin and the adjacent
        bin, from the mean of one bin to the mean of the other (a piecewise linear encoding). If False, all numbers of
        a bin have the same embedding. "auto" interpolates if no column of categories or lists has more than 100 known
        values; with ids, which are more informative, the exact number adds little. Interpolation makes a training step
        slower. It has no effect without bins.
    list_features : "auto", array-like, callable or None, default="auto"
        Which columns hold lists of categories, such as tags or the last items of a user. "auto" selects columns whose
        first values are mostly lists, tuples, sets or arrays, except columns of vectors. Or pass a boolean mask,
        indices, names or a callable. None selects no column. Each value of a list has an embedding, and a row gets the
        pooled embedding; an empty or missing list gets zeros. Missing values in a list are left out, and so are the
        numbers −1 and −2.
    list_separator : str or None, default=None
        Separator of the values of lists that are written as strings. Name the columns of such lists in `list_features`.
    max_list_length : int, default=1000
        Maximum number of values of a list. Of longer lists the last values are used. Sets have no order, so they are
        sorted first.
    shared_embeddings : dict or None, default=None
        Maps the name of a list column to the name of the category column whose vocabulary and embeddings it shares:
        ``{"last_videos": "video_id"}``.
    vector_features : "auto", array-like, callable or None, default="auto"
        Which columns hold vectors, such as an embedding of the picture of an item. "auto" selects columns whose first
        values are mostly lists, tuples or arrays of floats. Or pass a boolean mask, indices, names or a callable. None
        selects no column. All vectors of a column have the same length. Each component is scaled to mean 0 and variance
        1, whatever `numeric_scaling` is. A learned linear map turns a vector into an embedding. A missing vector counts
        as the mean.
    bias_features : array-like, callable or None, default=None
        Columns that describe how an impression was shown (position, tab, …), as a boolean mask, indices, names or a
        callable. The main network does not use these columns. In training a small tower computes a term from them that
        is added to the logit of the first task, so that this term absorbs the effect of the position. Predictions do
        not need these columns: for the first task and its descendants in the link they are made as for an item in a
        good position.
    pretrain_features : array-like, callable or None, default=None
        Columns that are used and reconstructed in pretraining, as a boolean mask, indices, names or a callable. None
        uses all columns. Columns of lists and vectors are always left out.
    target_statistics : {"ordered"} or None, default="ordered"
        Whether the network also gets statistics of the categories in `statistics_features`: how often a value occurs,
        and how often each target, and each step given its parent, happens in its rows. A training row gets the rates of
        the rows before it in a random order, so no row sees its own label. With ``validation="last"`` the order is that
        of the table, except in `fit_dataset`, which shuffles the rows. All other rows get the rates of all counted
        rows: those of X, and those passed to `update_statistics`.
    statistics_features : "auto" or list, default="auto"
        The columns that have target statistics, by name or position; a tuple combines the values of several columns.
        "auto" starts with the categories that have more than 100 known values. If there are none, there are no
        statistics. With 500 or more validation rows it drops the columns whose rates do not predict their labels. If
        there are validation rows, it then adds keys that improve the prediction of their labels: up to four other
        columns with more than ten values, or pairs that include the column with the most values; and up to four other
        pairs that say more than both of their columns alone. `statistics_features_` has what was chosen.
    new_categories : {"unknown", "grow"}, default="unknown"
        What happens to values that first occur after fit: in `partial_fit`, in `update_statistics`, or in a fit with
        `warm_start`. "unknown" treats them as unknown values. With "grow", a value that has occurred `min_frequency`
        times since fit gets a new row in the embedding tables, which starts as a copy of the row of unknown values.
        All other values keep their rows. The rows that you pass later then count as new rows: their target statistics
        are added to the earlier ones, also with `warm_start`. The columns of `bias_features` do not grow, and missing
        values that fit has not seen stay unknown.
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
