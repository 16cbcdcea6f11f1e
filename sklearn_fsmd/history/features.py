"""HistoryFeatures: the past of each row as columns, without a look at its present or future."""

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

from sklearn_fsmd.encoding import TargetEncoder, as_pandas, one_of, read_table, warn_of_contradictions, warn_of_order
from sklearn_fsmd.estimators import AtomicEstimator, TakesTables, on_snapshot
from sklearn_fsmd.history.log import EventLog, Key
from sklearn_fsmd.history.past import Asked, Past, Questions
from sklearn_fsmd.history.times import moment_of, moments, name_of_span, span
from sklearn_fsmd.network import parents_of
from sklearn_fsmd.parameters import checks_parameters, estimator
from sklearn_fsmd.persistence import Saving

SMOOTHING = 10.0
"""What "auto" is: a rate counts as if ten more events of the overall rate had been seen."""


@estimator
class HistoryFeatures(AtomicEstimator, Saving, TakesTables, TransformerMixin, BaseEstimator):
    """What a log says of the past of each row: how often, how successfully and how long ago.

    For each key and row, the events of the same key that are at least `delay` older are counted: impressions, the rate
    of each target, the rate of each step after its parent, and the seconds since the last event. A log that is
    fitted and transformed at once, as a Pipeline does, is causal row by row: neither a row's own labels nor later
    ones, nor those of the same moment, enter its columns. `transform` of other rows knows all of the fitted log that
    is `delay` older than each row.

    Parameters
    ----------
    time : str, default="time"
        The column that says when: datetimes, or numbers with `unit`.
    keys : sequence of str, or of lists of str
        Whose past is told: columns such as "user_id", or several taken together, ``["user_id", "tab"]``. Values are
        categories: text, numbers or truths. Rows in which one is missing have no past; the numbers -1 and -2 are taken
        for missing, as encoders mark what they do not know.
    unit : {"D", "h", "m", "s", "ms", "us", "ns"} or None, default=None
        In what a time that is a number counts, since 1970.
    delay : str or timedelta, default="1h"
        How old an event must be to be known: as long as it takes for its labels to be final and to reach the model. If
        a day is scored at once, without :meth:`update` in between, it is "1D".
    half_life : str, timedelta or None, or list of these, default=None
        After what time an event counts half; None counts all alike. Each of a list gives columns of its own.
    log : bool, default=True
        Whether numbers of events and seconds are given as log(1 + x), by which a network reads them better.
    smoothing : float or "auto", default="auto"
        Pseudo-counts s: a rate is (positives + s · overall rate) / (events + s), with the overall rate as it is known
        at that row. "auto" is 10.
    last : int, default=0
        With ``last=20`` there is, for each key, a column of lists of the last items for which the first target came
        true, the newest last, as a model takes them (see its `list_features`).
    last_of : str or None, default=None
        The column that these items are values of, such as "video_id".
    link : {"chain", "independent"} or tuple, default="chain"
        How the targets depend on each other, as in :class:`~sklearn_fsmd.MultiTaskClassifier`. With a chain there are
        also the rates of each step where the one before it happened.
    value_targets : sequence of str or int, or None, default=None
        Columns of Y that hold values, as in :class:`~sklearn_fsmd.MultiTaskClassifier`; they are left out.
    drop : sequence of str, default=()
        Columns that are left out of the result, such as the time.
    strict_order : bool, default=False
        Whether :meth:`update` refuses events that are older than the latest that is known.
    n_threads : int or None, default=None
        Threads for many rows; None takes all.

    Attributes
    ----------
    n_events_ : int
        How many events are known.
    target_names_ : list of str
        Names of the columns of Y.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of str
        Names of the columns of X.

    Notes
    -----
    Many rows are counted by DuckDB, in parallel, and on disk where memory ends; up to 100, or a thousandth of the log,
    and all rows of a log of up to 100,000 events, by sorted arrays in memory. The first such call after a fit or
    :meth:`load` builds them; the first one after an :meth:`update` builds those of its events.

    With ``set_output(transform="polars")`` categories that are whole numbers become integers, which a model takes for
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
    strict_order: bool = False
    n_threads: int | None = None

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "time": [str],
        "keys": ["array-like"],
        "delay": [str, timedelta, np.timedelta64],
        "half_life": [str, timedelta, np.timedelta64, list, tuple, None],
        "log": ["boolean"],
        "smoothing": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "last": [Interval(Integral, 0, None, closed="left")],
        "last_of": [str, None],
        "link": [StrOptions({"chain", "independent"}), tuple, list],
        "value_targets": [list, tuple, None],
        "drop": ["array-like"],
        "strict_order": ["boolean"],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    }
    _parts: ClassVar[tuple[type, ...]] = (EventLog,)

    @checks_parameters
    def fit(self, X: Any, Y: Any = None, *, y: Any = None) -> Self:
        """Learn a log.

        Parameters
        ----------
        X : DataFrame of shape (n_samples, n_features)
        Y : DataFrame or array-like of shape (n_samples,) or (n_samples, n_tasks)
            What came of each event; NaN where that is not known.
        y : the same, by scikit-learn's name.

        Returns
        -------
        self : the fitted transformer.

        Raises
        ------
        TypeError
            If X is no DataFrame.
        ValueError
            If `keys` is empty, a column is not there, a time is missing, or Y is.
        """
        return self._learn_atomically(lambda copied, _: copied._learn(X, one_of(Y, y)))

    @checks_parameters
    def fit_transform(self, X: Any, Y: Any = None, *, y: Any = None) -> pd.DataFrame:
        """Learn a log, and tell of each of its rows what was known at its time.

        Parameters
        ----------
        X, Y, y : as in :meth:`fit`.

        Returns
        -------
        X_out : DataFrame of shape (n_samples, n_features_out)
            X without `drop`, and with further columns: float32, and with `last` one of lists per key, such as
            "user_id_last_item_id".

        Raises
        ------
        TypeError, ValueError
            As :meth:`fit`.
        """
        told: list[pd.DataFrame] = []

        def learn(copied: Self, _: Any) -> None:  # and tell, before another thread can add to the log
            copied._learn(X, one_of(Y, y))
            past = copied._past
            told.append(copied._tell(copied._table(X, reset=False), past.log.times, past.asked_itself()))

        self._learn_atomically(learn)
        return told[0]

    def update(self, X: Any, Y: Any = None, *, y: Any = None) -> Self:
        """Add events to the log; the model behind it need not be trained anew.

        Events that are added twice count twice. With `strict_order` events that are older than the latest known one are
        refused, and so is a day that was added already, unless all of it has one time.

        Parameters
        ----------
        X, Y, y : as in :meth:`fit`.

        Returns
        -------
        self : the transformer.

        Raises
        ------
        ValueError
            If the events are older than what is known, and `strict_order` is set.
        """
        check_is_fitted(self)
        return self._learn_atomically(lambda copied, _: copied._add(X, one_of(Y, y)))

    def _add(self, X: Any, Y: Any) -> None:
        """Know more events."""
        X, Y = as_pandas(X), as_pandas(Y)
        if isinstance(X, pd.DataFrame) and list(X.columns) == list(self.feature_names_in_) and not len(X) + np.size(Y):
            return  # a day without events
        warn_of_order(X, Y)
        X = self._table(X, reset=False)
        times, past = self._times(X), self._past
        if self.strict_order and len(past) and times.min() < past.freshness.last:
            raise ValueError(
                f"`update` was given events of {moment_of(times.min(), self._has_zone)}, older than the latest that is "
                f"known, of {moment_of(past.freshness.last, self._has_zone)}, and strict_order is True."
            )
        questions = past.questions
        targets, n_odd = self._targets.encode_part(Y, None, questions.parents)  # of which none need be known yet
        warn_of_contradictions(n_odd, len(targets.labels), self.target_names_, questions.parents)
        check_consistent_length(X, targets.labels)
        self._take(past.followed_by(EventLog.from_frame(past.parts[0].log.columns, X, times, targets)))

    @on_snapshot
    def transform(self, X: Any) -> pd.DataFrame:
        """What the fitted log knew at the time of each row.

        Parameters
        ----------
        X : DataFrame of shape (n_samples, n_features)

        Returns
        -------
        X_out : DataFrame of shape (n_samples, n_features_out)
            As :meth:`fit_transform` has it.

        Raises
        ------
        ValueError
            If X has other columns than in fit, a time is missing, or one column has a time zone and the other has none.

        Warns
        -----
        UserWarning
            If rows come longer after the last known event than `delay` and the longest gap in the log together, so that
            they are told of fewer events than rows of fit were.
        """
        check_is_fitted(self)
        X = self._table(X, reset=False)
        times = self._times(X)
        self._past.freshness.warn_of_later(times, has_zone=self._has_zone)
        return self._tell(X, times, self._past.asked(X))

    @on_snapshot
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns of the result.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Those of fit, if any are given.

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features)
        kept = [name for name in self.feature_names_in_ if name not in set(self.drop)]
        return np.array(kept + self._names + self._past.questions.list_names(), dtype=object)

    def _learn(self, X: Any, Y: Any) -> None:
        """Know a log."""
        warn_of_order(X, Y)
        X = self._table(X, reset=True)
        times, self._has_zone = moments(X[self.time], self.unit)
        self._targets = TargetEncoder().fit(Y, value_targets=self.value_targets)
        self.target_names_ = self._targets.names
        columns = sorted({name for key in self._keys() for name in key} | ({str(self.last_of)} if self.last else set()))
        targets = self._targets.encode(Y, parents=parents_of(self.link, len(self.target_names_)))
        check_consistent_length(X, targets.labels)
        self._know(EventLog.from_frame(columns, X, times, targets))
        taken = [name for name in self._names + self._past.questions.list_names() if name in X.columns]
        if taken:
            raise ValueError(f"X has a column {taken[0]!r}, which is the name of one of the result. Rename it.")

    def _know(self, log: EventLog) -> None:
        """Take over a log, and what follows from the parameters."""
        questions, spans = self._asked(self.target_names_)
        self._names = questions.names(self.target_names_, spans)
        self._take(Past(log, questions, self.n_threads))

    def _asked(self, targets: Sequence[str]) -> tuple[Questions, list[str]]:
        """What the parameters ask, and what each half-life is called."""
        half_lives = list(self.half_life) if isinstance(self.half_life, (list, tuple)) else [self.half_life]
        questions = Questions(
            keys=self._keys(),
            parents=parents_of(self.link, len(targets)),
            delay=max(span(self.delay, "delay"), 1),  # rows of one moment do not see each other
            half_lives=[None if value is None else _half_life(value) for value in half_lives],
            smoothing=SMOOTHING if self.smoothing == "auto" else float(self.smoothing),
            log=self.log,
            last=self.last,
            last_of=self.last_of,
        )
        return questions, ["" if value is None else f"_{name_of_span(value)}" for value in half_lives]

    def _take(self, past: Past) -> None:
        self._past, self.n_events_ = past, len(past)
        self._header = pd.Index(self._names)  # made once: of a single row it would be a tenth of the time

    def _tell(self, X: pd.DataFrame, times: np.ndarray, asked: Asked) -> pd.DataFrame:
        past = pd.DataFrame(self._past.columns(times, asked), index=X.index, columns=self._header)
        for name, column in zip(self._past.questions.list_names(), self._past.lists(times, asked), strict=True):
            past[name] = column
        return pd.concat([X.drop(columns=list(self.drop)), past], axis=1)

    def _keys(self) -> list[Key]:
        for key in self.keys:
            if not isinstance(key, (str, list, tuple)):
                raise ValueError(
                    f"The 'keys' parameter must hold names of columns, and lists of these. Got {key!r} in it."
                )
        return [(key,) if isinstance(key, str) else tuple(key) for key in self.keys]

    def _table(self, X: Any, *, reset: bool) -> pd.DataFrame:
        """X checked, and the columns that parameters name."""
        X = as_pandas(X)
        if not isinstance(X, pd.DataFrame):
            raise TypeError(f"X must be a DataFrame, whose columns `time` and `keys` name. Got a {type(X).__name__}.")
        if not self._keys():
            raise ValueError("The 'keys' parameter must name the columns whose past is told. Got none.")
        if self.last and self.last_of is None:
            raise ValueError(f"last={self.last} needs `last_of`, the column that the items are values of.")
        in_keys = [name for key in self._keys() for name in key]
        of_items = [self.last_of] if self.last else []
        named: dict[str, Sequence[Any]] = {"time": [self.time], "keys": in_keys, "last_of": of_items, "drop": self.drop}
        refuse_strange(named, list(X.columns), "X")
        return read_table(self, X, reset=reset)

    def _times(self, X: pd.DataFrame) -> np.ndarray:
        times, has_zone = moments(X[self.time], self.unit)
        if has_zone != self._has_zone:
            raise ValueError(
                f"Column {self.time!r} had {'a' if self._has_zone else 'no'} time zone in fit, and has "
                f"{'one' if has_zone else 'none'} now."
            )
        return times

    def __getstate__(self) -> dict[str, Any]:
        """The log and the questions, in the place of what is made of them."""
        state = dict(super().__getstate__())
        past = state.pop("_past", None)
        state.pop("_header", None)
        return state if past is None else {**state, "_log": past.log, "_questions": asdict(past.questions)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        log, questions = state.get("_log"), state.get("_questions")
        super().__setstate__({k: v for k, v in state.items() if k not in ("_log", "_questions")})
        if log is not None and questions is not None:
            self._take(Past(log, Questions(**questions), self.n_threads))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags


def _half_life(value: Any) -> int:
    if (length := span(value, "half_life")) == 0:
        raise ValueError(f"The 'half_life' parameter must be longer than 0. Got {value!r} instead.")
    return length


def refuse_strange(named: Mapping[str, Iterable[Any]], columns: Sequence[Any], where: str) -> None:
    """Raise ValueError if a parameter names a column that is not there."""
    for parameter, names in named.items():
        if strange := [name for name in names if name not in columns]:
            raise ValueError(
                f"Column {strange[0]!r}, which {parameter!r} names, is not in {where}. There are {columns}."
            )
