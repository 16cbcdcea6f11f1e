"""HistoryFeatures: point-in-time features, computed only from events that precede each row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_consistent_length, check_is_fitted

from sklearn_fsmd.encoding.table import as_pandas, read_table
from sklearn_fsmd.encoding.targets import TargetEncoder, events_of, one_of, warn_of_contradictions
from sklearn_fsmd.encoding.warnings import warn_of_order
from sklearn_fsmd.estimators import AtomicEstimator, TakesTables, on_snapshot
from sklearn_fsmd.history.log import EventLog
from sklearn_fsmd.history.past import EncodedRows, Past
from sklearn_fsmd.history.spec import FeatureSpec, delays_of, half_lives_of, keys_of
from sklearn_fsmd.history.times import moment_of, timestamps
from sklearn_fsmd.network import parents_of
from sklearn_fsmd.parameters import checks_parameters, estimator
from sklearn_fsmd.persistence import Saving

SMOOTHING = 10.0
"""Value of smoothing="auto": ten events at the overall rate are added to each rate."""


@estimator
class HistoryFeatures(AtomicEstimator, Saving, TakesTables, TransformerMixin, BaseEstimator):
    """Add features of what a log contained at the time of each row: counts, rates and the time since the last event.

    For each row and key, the events with the same value of the key that are at least `delay` older than the row give
    these features: the number of events, the rate of each target, the rate of each step given its parent, and the
    seconds since the last event.

    :meth:`fit_transform`, and so ``fit`` of a Pipeline, gives each row of the log the features of its own past: its own
    labels, later events and events at the same time do not enter. :meth:`transform` gives query rows features of the
    whole fitted log, again of the events that are at least `delay` older than each row.

    Parameters
    ----------
    time : str, default="time"
        The column of times: datetimes, or numbers with `unit`.
    keys : sequence of str, or of lists of str, default=()
        The columns whose past is computed, such as "user_id"; at least one is needed. A list combines several columns,
        such as ``["user_id", "tab"]``. Values are categories: strings, numbers or booleans. A row in which a value is
        missing has no past. The numbers -1 and -2 are treated as missing, since encoders use them for missing and
        unknown values.
    unit : {"D", "h", "m", "s", "ms", "us", "ns"} or None, default=None
        The unit of times that are numbers, counted since 1970.
    delay : str, timedelta or dict, default="1h"
        Minimum age of an event that is used for a row: the time until its labels are final and have reached the
        transformer. If you score a whole day at once, without :meth:`update` in between, set "1D". A dict such as
        ``{"click": "1h", "conversion": "7D"}`` gives each target its own. The rate of a target uses events that are at
        least as old as its delay. The rate of a step given its parent uses events as old as both delays. Numbers of
        events and the seconds since the last one use the shortest delay. Lists of last items use the delay of the
        first target. If the latest events in which its parent has happened have no label of a step, only events up to
        the last one with a label count for this step.
    half_life : str, timedelta or None, or list of these, default=None
        The time after which an event counts half. With None all events count the same. A list gives features for each
        of its entries. Events more than 2,000 half-lives before the latest one do not count, and rows that are so old
        are refused.
    log : bool, default=True
        Whether numbers of events and seconds are transformed to log(1 + x), which suits a network better.
    smoothing : float or "auto", default="auto"
        Pseudo-counts s: a rate is (positives + s · overall rate) / (events + s). The overall rate is that of all events
        that are at least `delay` older than the row. "auto" is 10.
    last : int, default=0
        Length of the lists of last items. ``last=20`` adds, for each key, a column of lists of the last 20 items whose
        first target was 1, the newest last. A model reads them as `list_features`.
    last_of : str or None, default=None
        The column of these items, such as "video_id".
    link : {"chain", "independent"} or tuple, default="chain"
        How the targets depend on each other, as in :class:`~sklearn_fsmd.MultiTaskClassifier`. A chain adds the rate of
        each step given the step before it.
    value_targets : sequence of str or int, or None, default=None
        Columns of Y that hold values, as in :class:`~sklearn_fsmd.MultiTaskClassifier`. No features are computed from
        them.
    drop : sequence of str, default=()
        Columns that are left out of the result, such as the time.
    prefix : str, default=""
        What the names of all features start with. Two histories in one Pipeline, such as of two logs or with two
        settings, need different ones.
    strict_order : bool, default=False
        Whether :meth:`update` refuses events that are older than the latest event of the log.
    n_threads : int or None, default=None
        Number of threads for many rows. None uses all.

    Attributes
    ----------
    n_events_ : int
        Number of events in the log.
    target_names_ : list of str
        Names of the columns of Y.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of str
        Names of the columns of X.

    Notes
    -----
    For many rows, DuckDB computes the features in parallel, and on disk if memory runs out. For up to 100 rows, for up
    to a thousandth of the log, and for logs of up to 100,000 events, sorted arrays in memory are used. The first such
    call after a fit or :meth:`load` sorts the log; the first one after an :meth:`update` sorts the new events.

    With ``set_output(transform="polars")`` categories that are whole numbers become integers, which a model treats as
    numbers unless `categorical_features` names them.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_fsmd.history import HistoryFeatures
    >>> log = pd.DataFrame({"time": pd.date_range("2026-01-01", periods=3), "user": ["a", "a", "b"]})
    >>> clicks = pd.DataFrame({"click": [1, 0, 1]})
    >>> past = HistoryFeatures(keys=["user"], drop=["time"], log=False).fit_transform(log, clicks)
    >>> past["user_events"].tolist(), past["user_seconds_since"].tolist()
    ([0.0, 1.0, 0.0], [nan, 86400.0, nan])
    """

    time: str = "time"
    keys: Sequence[str | Sequence[str]] = ()
    unit: Literal["D", "h", "m", "s", "ms", "us", "ns"] | None = None
    delay: Any = "1h"
    half_life: Any = None
    log: bool = True
    smoothing: float | Literal["auto"] = "auto"
    last: int = 0
    last_of: str | None = None
    link: str | Sequence[int | None] = "chain"
    value_targets: Sequence[str | int] | None = None
    drop: Sequence[str] = ()
    prefix: str = ""
    strict_order: bool = False
    n_threads: int | None = None

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "time": [str],
        "keys": ["array-like"],
        "delay": [str, timedelta, np.timedelta64, dict],
        "half_life": [str, timedelta, np.timedelta64, list, tuple, None],
        "log": ["boolean"],
        "smoothing": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "last": [Interval(Integral, 0, None, closed="left")],
        "last_of": [str, None],
        "link": [StrOptions({"chain", "independent"}), tuple, list],
        "value_targets": [list, tuple, None],
        "drop": ["array-like"],
        "prefix": [str],
        "strict_order": ["boolean"],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    }
    _parts: ClassVar[tuple[type, ...]] = (EventLog,)

    @checks_parameters
    def fit(self, X: Any, Y: Any = None, *, y: Any = None) -> Self:
        """Store a log of events.

        Parameters
        ----------
        X : DataFrame of shape (n_samples, n_features)
            The events, in any order.
        Y : DataFrame or array-like of shape (n_samples,) or (n_samples, n_tasks)
            The binary targets of each event. NaN means that the label is not known.
        y : DataFrame or array-like
            The same as Y, under scikit-learn's name.

        Returns
        -------
        self : HistoryFeatures
            The fitted transformer.

        Raises
        ------
        TypeError
            If X is not a DataFrame.
        ValueError
            If `keys` is empty, a column does not exist, a time is missing, a key has 2⁶³ combinations of values or
            more, or Y is None.
        """
        return self._learn_atomically(lambda copied, _: copied._fit(X, one_of(Y, y)))

    @checks_parameters
    def fit_transform(self, X: Any, Y: Any = None, *, y: Any = None) -> pd.DataFrame:
        """Store a log of events, and return each of its rows with the features of its own past.

        Parameters
        ----------
        X, Y, y : as in :meth:`fit`.

        Returns
        -------
        X_out : DataFrame of shape (n_samples, n_features_out)
            X without `drop`, followed by the features: float32 columns, and with `last` a column of lists per key, such
            as "user_id_last_item_id".

        Raises
        ------
        TypeError, ValueError
            As :meth:`fit`.
        """
        results: list[pd.DataFrame] = []

        def fit_and_transform(copied: Self, _: Any) -> None:  # atomic: another thread may add to the log afterwards
            copied._fit(X, one_of(Y, y))
            past = copied._past
            results.append(copied._with_features(copied._table(X, reset=False), past.log.times, past.encoded_log()))

        self._learn_atomically(fit_and_transform)
        return results[0]

    def update(self, X: Any, Y: Any = None, *, y: Any = None) -> Self:
        """Add events to the log. The model behind the transformer need not be trained again.

        Events that are added twice count twice. With `strict_order`, events that are older than the latest event of the
        log are refused. This also refuses a day that was added before, unless all its events have the same time.

        Parameters
        ----------
        X, Y, y : as in :meth:`fit`.

        Returns
        -------
        self : HistoryFeatures
            The transformer.

        Raises
        ------
        ValueError
            If `strict_order` is set and an event is older than the latest event of the log.
        """
        check_is_fitted(self)
        return self._learn_atomically(lambda copied, _: copied._add(X, one_of(Y, y)))

    def _add(self, X: Any, Y: Any) -> None:
        X, Y = as_pandas(X), as_pandas(Y)
        if isinstance(X, pd.DataFrame) and list(X.columns) == list(self.feature_names_in_) and not len(X) + np.size(Y):
            return  # a day without events
        warn_of_order(X, Y)
        X = self._table(X, reset=False)
        times, past = self._times(X), self._past
        if self.strict_order and len(past) and times.min() < past.freshness.last:
            raise ValueError(
                f"`update` got events of {moment_of(times.min(), self._has_zone)}, older than the latest event of the "
                f"log, of {moment_of(past.freshness.last, self._has_zone)}, and strict_order is True."
            )
        parents = past.spec.parents
        targets, n_happened = self._targets.encode_part(Y, None, parents)  # all labels may be missing so far
        warn_of_contradictions(n_happened, self.target_names_, parents)
        check_consistent_length(X, targets.labels)
        self._set_past(past.followed_by(EventLog.from_frame(past.parts[0].log.columns, X, times, targets)))

    @on_snapshot
    def transform(self, X: Any) -> pd.DataFrame:
        """Return query rows with features of the fitted log, as of the time of each row.

        Parameters
        ----------
        X : DataFrame of shape (n_samples, n_features)
            The query rows.

        Returns
        -------
        X_out : DataFrame of shape (n_samples, n_features_out)
            The same columns as of :meth:`fit_transform`.

        Raises
        ------
        ValueError
            If X has other columns than in fit, a time is missing, or the times have a time zone and had none in fit, or
            vice versa.

        Warns
        -----
        UserWarning
            If the time from the last event to a row exceeds `delay` plus the longest time between two
            consecutive events of the log. The features of such rows contain fewer events than those of the rows of fit.
        """
        check_is_fitted(self)
        X = self._table(X, reset=False)
        times = self._times(X)
        self._past.freshness.warn_of_late_rows(times, has_zone=self._has_zone)
        return self._with_features(X, times, self._past.encode(X))

    @on_snapshot
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns of the result.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            None, or the names of the columns of X in fit.

        Returns
        -------
        names : ndarray of str
            The columns of X without `drop`, followed by the features.
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features)
        kept = [name for name in self.feature_names_in_ if name not in set(self.drop)]
        return np.array(kept + self._names + self._past.spec.list_names(), dtype=object)

    def _fit(self, X: Any, Y: Any) -> None:
        warn_of_order(X, Y)
        X = self._table(X, reset=True)
        times, self._has_zone = timestamps(X[self.time], self.unit)
        self._targets = TargetEncoder().fit(Y, value_targets=self.value_targets)
        self.target_names_ = self._targets.names
        in_keys = {name for key in keys_of(self.keys) for name in key}
        columns = sorted(in_keys | ({str(self.last_of)} if self.last else set()))
        targets = self._targets.encode(Y, parents=parents_of(self.link, len(self.target_names_)))
        check_consistent_length(X, targets.labels)
        log = EventLog.from_frame(columns, X, times, targets)
        spec, suffixes = self._feature_spec(self.target_names_)
        self._names = spec.names(self.target_names_, suffixes)
        for key in spec.keys:
            log.sizes_of(key)  # raises if there are too many
        self._set_past(Past(log, spec, self.n_threads))
        duplicates = [name for name in self._names + spec.list_names() if name in X.columns]
        if duplicates:
            raise ValueError(
                f"X has a column {duplicates[0]!r}, which is the name of a feature too. Rename it, or set `prefix`."
            )

    def _feature_spec(self, targets: Sequence[str]) -> tuple[FeatureSpec, list[str]]:
        """Return the features that the parameters define, and the suffix of their names for each half-life."""
        parents, delays = parents_of(self.link, len(targets)), delays_of(self.delay, targets)
        of_outcomes = [max(delays[k], delays[k if parent is None else parent]) for k, parent in events_of(parents)]
        half_lives, suffixes = half_lives_of(self.half_life)
        spec = FeatureSpec(
            keys=keys_of(self.keys),
            parents=parents,
            delay=min(delays),
            delays=of_outcomes if len(set(delays)) > 1 else (),
            half_lives=half_lives,
            smoothing=SMOOTHING if self.smoothing == "auto" else float(self.smoothing),
            log=self.log,
            last=self.last,
            last_of=self.last_of,
            prefix=self.prefix,
        )
        return spec, suffixes

    def _set_past(self, past: Past) -> None:
        self._past, self.n_events_ = past, len(past)
        self._header = pd.Index(self._names)  # once, since it would take a tenth of the time of a single row

    def _with_features(self, X: pd.DataFrame, times: np.ndarray, rows: EncodedRows) -> pd.DataFrame:
        features = pd.DataFrame(self._past.features(times, rows), index=X.index, columns=self._header)
        for name, column in zip(self._past.spec.list_names(), self._past.lists(times, rows), strict=True):
            features[name] = column
        return pd.concat([X.drop(columns=list(self.drop)), features], axis=1)

    def _table(self, X: Any, *, reset: bool) -> pd.DataFrame:
        """Check X, and that it has the columns that parameters name."""
        X = as_pandas(X)
        if not isinstance(X, pd.DataFrame):
            raise TypeError(
                f"X must be a DataFrame with the columns that `time` and `keys` name. Got a {type(X).__name__}."
            )
        if not keys_of(self.keys):
            raise ValueError("The 'keys' parameter must name the columns whose past is computed. Got none.")
        if self.last and self.last_of is None:
            raise ValueError(f"last={self.last} needs `last_of`, the column of the items.")
        in_keys = [name for key in keys_of(self.keys) for name in key]
        item_columns = [self.last_of] if self.last else []
        named: dict[str, Sequence[Any]] = {
            "time": [self.time],
            "keys": in_keys,
            "last_of": item_columns,
            "drop": self.drop,
        }
        refuse_unknown_columns(named, list(X.columns), "X")
        return read_table(self, X, reset=reset)

    def _times(self, X: pd.DataFrame) -> np.ndarray:
        times, has_zone = timestamps(X[self.time], self.unit)
        if has_zone != self._has_zone:
            raise ValueError(
                f"Column {self.time!r} had {'a' if self._has_zone else 'no'} time zone in fit, and has "
                f"{'one' if has_zone else 'none'} now. Give it the zone of fit: "
                f"X[{self.time!r}]{'.dt.tz_localize' if self._has_zone else '.dt.tz_convert'}"
                f"({'zone' if self._has_zone else None})."
            )
        return times

    def __getstate__(self) -> dict[str, Any]:
        """Return the state with the log and the specification of the features, which determine `_past`."""
        state = dict(super().__getstate__())
        past = state.pop("_past", None)
        state.pop("_header", None)
        return state if past is None else {**state, "_log": past.log, "_questions": asdict(past.spec)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        log, spec = state.get("_log"), state.get("_questions")
        super().__setstate__({k: v for k, v in state.items() if k not in ("_log", "_questions")})
        if log is not None and spec is not None:
            self._set_past(Past(log, FeatureSpec(**spec), self.n_threads))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False  # a DataFrame with names of columns
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags


def refuse_unknown_columns(named: Mapping[str, Iterable[Any]], columns: Sequence[Any], where: str) -> None:
    """Raise ValueError if a parameter names a column that does not exist."""
    for parameter, names in named.items():
        if unknown := [name for name in names if name not in columns]:
            raise ValueError(
                f"Column {unknown[0]!r}, which {parameter!r} names, is not in {where}. The columns are {columns}."
            )
