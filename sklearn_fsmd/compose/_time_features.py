"""TimeFeatures: replaces datetimes by features such as the hour and the day of the week."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from sklearn_fsmd.encoding.columns import column_mask, shown
from sklearn_fsmd.encoding.table import as_pandas, read_table
from sklearn_fsmd.parameters import Documented, checks_parameters, warn

CATEGORIES: dict[str, tuple[Callable[[pd.DatetimeIndex], Any], range]] = {
    "hour": (lambda t: t.hour, range(24)),
    "day_of_week": (lambda t: t.day_of_week, range(7)),
    "month": (lambda t: t.month, range(1, 13)),
}


def _days_since_1970(times: pd.DatetimeIndex) -> np.ndarray:
    """Days with fractions, computed in the unit of the times, since nanoseconds overflow in the year 2262."""
    return (times.tz_localize(None).to_numpy() - np.datetime64(0, times.unit)) / np.timedelta64(1, "D")


NUMBERS: dict[str, Callable[[pd.DatetimeIndex], Any]] = {
    "minute_of_day": lambda t: 60 * t.hour + t.minute,
    "day_of_month": lambda t: t.day,
    "day_of_year": lambda t: t.day_of_year,
    "year": lambda t: t.year,
    "days_since_1970": _days_since_1970,
}


class TimeFeatures(Documented, TransformerMixin, BaseEstimator):
    """Replace columns of datetimes by features such as the hour and the day of the week.

    The behaviour of users depends on the time of the day and the day of the week. A datetime itself never occurs again,
    so a model cannot learn from it. For the age of an item, subtract two columns before this step, for instance
    ``(X["time"] - X["uploaded"]).dt.days``. All other columns are unchanged.

    Parameters
    ----------
    columns : list of str or int, mask, callable or None, default=None
        The columns to replace, by name, index or mask. None means all columns that hold datetimes; there may be none.
        Dates, categories of datetimes, and periods count as datetimes; the datetime of a period is its start.
    features : sequence of str, default=("hour", "day_of_week")
        The features that replace a column: "hour" (0 to 23), "day_of_week" (0 is Monday), "month" (1 to 12),
        "minute_of_day" (0 to 1439), "day_of_month" (1 to 31), "day_of_year" (1 to 366), "year", "days_since_1970" (with
        fractions).
    time_zone : str, tzinfo or None, default=None
        The time zone in which features are computed, such as "Asia/Shanghai"; times without a zone then count as UTC.
        None means the time zone that each column had in fit, or, if all its times were missing in fit, the time zone
        that it has in `transform`. Dates, and periods of a day or longer, are the same days in any time zone.

    Attributes
    ----------
    columns_ : list
        The columns that `transform` replaces.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of str
        Names of the columns of X, if X has names.

    Notes
    -----
    "hour", "day_of_week" and "month" become categories, so that each value gets its own embedding: as numbers, the
    hours 23 and 0 would be furthest apart. The other features become numbers (float64), since they have too many values
    for categories, or later values will be beyond those of fit. A missing time gives a missing value in each feature.

    With ``set_output(transform="polars")``, the categories become integers, which a model treats as numbers unless
    `categorical_features` names them.

    The name of an output column consists of the column and the feature: ``time_hour``. All other names of columns
    become strings, such as "7" for 7, since a model refuses names of several types. In a Pipeline with
    :class:`~sklearn_fsmd.history.HistoryFeatures`, put `HistoryFeatures` first, since it needs the times.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_fsmd.compose import TimeFeatures
    >>> X = pd.DataFrame({"time": pd.to_datetime(["2026-01-01 20:15", None]), "price": [3.5, 4.0]})
    >>> TimeFeatures().fit_transform(X)
      time_hour time_day_of_week  price
    0        20                3    3.5
    1       NaN              NaN    4.0
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "columns": ["array-like", callable, None],
        "features": ["array-like"],
        "time_zone": [str, tzinfo, None],
    }

    def __init__(
        self,
        columns: Any = None,
        *,
        features: Sequence[str] = ("hour", "day_of_week"),
        time_zone: str | tzinfo | None = None,
    ) -> None:
        self.columns = columns
        self.features = features
        self.time_zone = time_zone

    @checks_parameters
    def fit(self, X: Any, y: Any = None) -> TimeFeatures:
        """Find the columns of datetimes, and their time zones.

        Parameters
        ----------
        X : DataFrame or array of shape (n_samples, n_features)
        y : ignored

        Returns
        -------
        self : the fitted transformer.

        Raises
        ------
        ValueError
            If `columns` names a column that does not exist or holds no datetimes, if a feature or the time zone is
            unknown, or if X already has a column with the name of an output column.
        """
        fitted = copy.copy(self)  # if this fit fails, the former one remains
        fitted._learn(X)
        self.__dict__ = fitted.__dict__
        return self

    def _learn(self, X: Any) -> None:
        self._check_parameters()
        X = self._table(X, reset=True)
        mask = X.apply(_holds_times) if self.columns is None else column_mask("columns", self.columns, X)
        self.columns_ = list(X.columns[np.asarray(mask, dtype=bool)])
        times = {name: _times(X[name], name).dropna() for name in self.columns_}
        self._zones = {name: known.tz for name, known in times.items() if known.tz is not None or len(known)}
        _warn_of_1970(times)
        self._days = {name: _are_days(X[name]) for name in self.columns_ if X[name].notna().any()}
        names_out = [f"{name}_{feature}" for name in self.columns_ for feature in self.features]
        taken = [name for name in names_out if name in X.columns]
        if taken:
            raise ValueError(f"X has a column {taken[0]!r}, which is the name of an output column. Rename it.")

    def transform(self, X: Any) -> pd.DataFrame:
        """Replace the columns of datetimes.

        Parameters
        ----------
        X : DataFrame or array of shape (n_samples, n_features)

        Returns
        -------
        X_out : DataFrame of shape (n_samples, n_features_out)
            The features of a column are at its position.

        Raises
        ------
        ValueError
            If a column holds no datetimes; if it has a time zone and had none in fit, or the reverse; or if it is
            converted to a time zone and holds days while it held times in fit, or the reverse.
        """
        check_is_fitted(self)
        X = self._table(X, reset=False)
        parts = [self._features_of(column, name) if name in self.columns_ else column for name, column in X.items()]
        return pd.concat(parts, axis=1).rename(columns=str)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the output columns.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns of X, if X has none.

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self)
        columns = self._column_names or _names(self.n_features_in_)
        names_in = map(str, columns) if input_features is None else _check_feature_names_in(self, input_features)
        names_out = [
            [f"{name}_{feature}" for feature in self.features] if column in self.columns_ else [name]
            for name, column in zip(names_in, columns, strict=True)
        ]
        return np.array([name for names in names_out for name in names], dtype=object)

    def _check_parameters(self) -> None:
        available = [*CATEGORIES, *NUMBERS]
        for feature in self.features:
            if feature not in available:
                raise ValueError(f"The 'features' parameter must name some of {available}. Got {feature!r} instead.")
            if list(self.features).count(feature) > 1:
                raise ValueError(f"The 'features' parameter names {feature!r} twice.")
        try:
            if self.time_zone is not None:
                pd.DatetimeTZDtype(tz=self.time_zone)
        except (LookupError, TypeError, ValueError):
            raise ValueError(
                f"The 'time_zone' parameter must be a time zone such as \"UTC\". Got {self.time_zone!r} instead."
            ) from None

    def _table(self, X: Any, *, reset: bool) -> pd.DataFrame:
        """Check X and convert it to a DataFrame with the names of fit.

        Columns without names get those of scikit-learn, such as "x0".
        """
        X = as_pandas(X)
        if isinstance(X, np.ndarray) and X.dtype.kind == "M" and np.datetime_data(X.dtype)[0] in "YMWD":
            X = X.astype("datetime64[D]").astype(object)  # dates, which pandas would convert to midnights
        X = read_table(self, X, reset=reset)
        names = list(self._column_names or _names(X.shape[1]))
        if isinstance(X, pd.DataFrame):
            return X if list(X.columns) == names else X.set_axis(names, axis=1)
        if X.dtype == object:  # with pd.NA among them, numbers would stay objects, which a model treats as categories
            X = np.where(np.frompyfunc(lambda value: value is pd.NA, 1, 1)(X).astype(bool), np.nan, X)
        return pd.DataFrame(X, columns=names).infer_objects()

    def _features_of(self, column: pd.Series, name: str) -> pd.DataFrame:
        times = _times(column, name)
        are_days = _are_days(column)
        if not times.isna().all():
            self._refuse_other_kind(are_days, name)
            if are_days and self._has_zone(name):
                _refuse_times_among_days(column, name)
        if not are_days:
            times = self._to_zone(times, name)
        features = {}
        for feature in self.features:
            if feature in CATEGORIES:
                function, values = CATEGORIES[feature]
                features[f"{name}_{feature}"] = pd.Categorical(function(times), categories=values)
            else:
                features[f"{name}_{feature}"] = np.asarray(NUMBERS[feature](times), dtype=np.float64)
        return pd.DataFrame(features, index=column.index)

    def _refuse_other_kind(self, are_days: bool, name: str) -> None:
        """Raise if a column in a time zone held times in fit and holds days now, or the reverse.

        Times are converted to the time zone, and days are not.
        """
        held_days = self._days.get(name, are_days)
        if self._has_zone(name) and held_days != are_days:
            before, now = ("days", "times") if held_days else ("times", "days")
            raise ValueError(
                f"Column {name!r} held {before} in fit and holds {now} now. In a time zone they are not the same: "
                "convert one of them."
            )

    def _has_zone(self, name: str) -> bool:
        return self.time_zone is not None or self._zones.get(name) is not None

    def _to_zone(self, times: pd.DatetimeIndex, name: str) -> pd.DatetimeIndex:
        """Convert the times to the time zone of the column."""
        if times.isna().all():
            return times
        if self.time_zone is not None and times.tz is None:
            times = times.tz_localize("UTC")
        zone = self._zones.get(name, times.tz) if self.time_zone is None else self.time_zone
        if (times.tz is None) != (zone is None):
            before, now = ("no time zone" if tz is None else f"the time zone {tz}" for tz in (zone, times.tz))
            raise ValueError(f"Column {name!r} had {before} in fit and has {now} now. Set `time_zone`.")
        return times if zone is None else times.tz_convert(zone)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _names(n_features: int) -> list[str]:
    return [f"x{i}" for i in range(n_features)]


def _kind(column: pd.Series) -> str:
    values = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else column
    if values.dtype == object and len(known := values.dropna()):
        values = known  # with pd.NA among them, pandas 2.2 infers that datetimes are dates
    return pd.api.types.infer_dtype(values, skipna=True)


def _frequency(column: pd.Series) -> Any:
    """The frequency of a column of periods, from its dtype, since there may be no period that is not missing."""
    dtype = column.cat.categories.dtype if isinstance(column.dtype, pd.CategoricalDtype) else column.dtype
    return getattr(dtype, "freq", None)


def _holds_times(column: pd.Series) -> bool:
    return _kind(column) in ("datetime64", "datetime", "date", "period")


def _are_days(column: pd.Series) -> bool:
    """Whether a column holds dates, or periods of a day or longer, which are the same in each time zone."""
    if _kind(column) == "period":
        first = pd.PeriodIndex(column.dropna().astype(object)[:1], freq=_frequency(column))
        return bool((first.end_time - first.start_time >= pd.Timedelta("23h")).all())
    return _kind(column) == "date"


def _refuse_times_among_days(column: pd.Series, name: str) -> None:
    """Raise if a column of dates also holds datetimes; pandas does not notice, since a datetime is a date too."""
    for value in column.dropna():
        if isinstance(value, datetime):
            raise ValueError(
                f"Column {name!r} holds days and times, such as {shown(value)}. In a time zone they are not the same: "
                "convert one of them."
            )


def _warn_of_1970(times: dict[Any, pd.DatetimeIndex]) -> None:
    """Warn of times that pandas made of numbers in the wrong unit: `to_datetime` takes them for nanoseconds.

    Parameters
    ----------
    times : the known times of each column.
    """
    for name, known in times.items():
        if len(known) > 1 and (known.min().year, known.max().month, known.max().year) == (1970, 1, 1970):
            warn(
                f"Column {name!r}: all times are in January 1970. If they were made of numbers, these have another "
                f"unit: pd.to_datetime(X[{name!r}], unit='s'), or 'ms' or 'us'."
            )


def _times(column: pd.Series, name: str) -> pd.DatetimeIndex:
    """Convert a column to datetimes.

    Raises
    ------
    ValueError
        If it holds other values, or times of several time zones.
    """
    holds_times, frequency = _holds_times(column), _frequency(column)
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    known = column[column.notna()]
    if len(known) and not holds_times:
        raise ValueError(
            f"Column {name!r} must hold datetimes. Found {shown(known.iloc[0])}. Convert it by pandas.to_datetime."
        )
    try:
        if pd.api.types.infer_dtype(known) == "period":
            return pd.PeriodIndex(column, freq=frequency).to_timestamp()
        # Without times, and in a column of periods, there are only missing values here, without a time zone.
        holds_datetimes = holds_times and frequency is None
        return pd.DatetimeIndex(column if holds_datetimes else np.full(len(column), "NaT", dtype="datetime64[s]"))
    except ValueError as error:
        raise ValueError(f"Column {name!r} cannot be read as datetimes of one time zone: {error}.") from error
