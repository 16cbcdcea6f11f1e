"""make_funnel: a simulated funnel with known true probabilities."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch, check_random_state

from sklearn_fsmd.datasets._last_items import as_lists, clicks_with_history
from sklearn_fsmd.datasets._result import as_result
from sklearn_fsmd.datasets._watch import watch_seconds
from sklearn_fsmd.datasets._world import World, intercept, sigmoid

DEVICES = ["phone", "tablet", "desktop"]
N_DAYS = 30
START = pd.Timestamp("2026-01-01")


def make_funnel(
    n_samples: int = 50_000,
    *,
    n_users: int = 1_000,
    n_items: int = 300,
    click_rate: float = 0.3,
    conversion_rate: float = 0.3,
    position_bias: float = 0.0,
    selection_bias: float = 0.0,
    conflict: float = 0.3,
    missing: float = 0.02,
    history: bool = False,
    watch_time: bool = False,
    lists: bool = False,
    random_state: Any = None,
    return_X_y: bool = False,
    as_frame: bool = True,
) -> Bunch | tuple[Any, Any]:
    """Simulate impressions of items to users, clicks and conversions.

    The probability of a click depends on the match between the latent taste vectors of user and item, on how often the
    user clicks, on the appeal of the item, and on hour and device. The probability of a conversion after a click
    depends on another match, and on quality and price of the item. Half of the variance of these latent traits is
    determined by columns of X, the segment of the user and the brand of the item. The other half can be learned only
    from the ids.

    Parameters
    ----------
    n_samples : int, default=50_000
        Number of impressions.
    n_users : int, default=1_000
        Number of users.
    n_items : int, default=300
        Number of items.
    click_rate : float, default=0.3
        Mean probability of a click on an item that the user looks at.
    conversion_rate : float, default=0.3
        Mean probability of a conversion after a click, over all impressions.
    position_bias : float, default=0.0
        Strength of the position bias: a user looks at an item at position r = 1 … 10 with probability
        ``r ** -position_bias``, and can click only then.
    selection_bias : float, default=0.0
        How strongly the logging system prefers items with a high click probability for the user, and puts them at the
        top positions. With 0, items are drawn at random.
    conflict : float, default=0.3
        How strongly traits that increase clicks decrease conversions, in [−1, 1]. Below 0, they increase conversions
        too.
    missing : float, default=0.02
        Share of missing values in the columns `age` and `brand`.
    history : bool, default=False
        Whether the impressions are a log of 30 days. X then has a column `time` and is sorted by it, and tastes drift,
        so that recent events are more informative than old ones.
    watch_time : bool, default=False
        Whether the targets have a third column `watch_seconds`, float64: for how many seconds a clicked item is
        watched. It is NaN in rows without a click. After a click it has a zero-inflated lognormal distribution, whose
        mean is higher the better the item matches the user's taste.
    lists : bool, default=False
        Whether X has a column `last_items` of lists: up to five items that the user clicked last before the impression,
        the newest at the end. Clicks then also depend on the lists: an item that is similar to one of the list is
        clicked more often than others. Needs ``history=True``.
    random_state : int, RandomState instance or None, default=None
        Randomness of the simulation; pass an int for reproducible data.
    return_X_y : bool, default=False
        Whether to return only ``(X, Y)``.
    as_frame : bool, default=True
        Whether to return X and Y as DataFrames. Otherwise they are arrays.

    Returns
    -------
    data : Bunch, or tuple (X, Y)
        Bunch with `data`, `target` (`click`, `conversion`), `feature_names`, `target_names` and `DESCR`, or only data
        and target if ``return_X_y=True``. The Bunch also has two DataFrames: `probabilities` has the true marginals
        P(click) and P(conversion) of each impression as it was shown, and `unbiased` those of the same item at the
        first position. With `watch_time` there is also `expected_values`, whose column `watch_seconds` is the true
        E[seconds | click] of each impression.

    Raises
    ------
    ValueError
        If a parameter is out of its range, a number of samples, users or items is not an integer, or `lists` is set
        without `history`.

    Examples
    --------
    >>> from sklearn_fsmd.datasets import make_funnel
    >>> funnel = make_funnel(1000, random_state=0)
    >>> funnel.data.shape, list(funnel.target.columns)
    ((1000, 9), ['click', 'conversion'])
    """
    for name, n, least in [("n_samples", n_samples, 1), ("n_users", n_users, 1), ("n_items", n_items, 1)]:
        if not isinstance(n, Integral) or n < least:
            raise ValueError(f"The '{name}' parameter must be an int in the range [{least}, inf). Got {n!r} instead.")
    for name, value, low, high in [
        ("click_rate", click_rate, 0, 1),
        ("conversion_rate", conversion_rate, 0, 1),
        ("conflict", conflict, -1, 1),
        ("missing", missing, 0, 1),
        ("position_bias", position_bias, 0, np.inf),
        ("selection_bias", selection_bias, 0, np.inf),
    ]:
        if not low <= value <= high:
            raise ValueError(f"The '{name}' parameter must be in [{low}, {high}]. Got {value!r} instead.")
    if lists and not history:
        raise ValueError("lists=True needs history=True: only a log with times has earlier clicks.")
    random = check_random_state(random_state)
    world = World(random, n_users, n_items, conflict)
    users = random.randint(n_users, size=n_samples)
    hours, devices = random.randint(24, size=n_samples), random.randint(len(DEVICES), size=n_samples)
    times = np.sort(random.uniform(size=n_samples)) if history else None
    seconds = None if times is None else np.round(times * N_DAYS * 86_400).astype(np.int64)
    if seconds is not None:
        world.start_drift()
        hours = seconds // 3600 % 24
    items, positions = world.shown_items(users, selection_bias, times)

    click_logit = world.click_logit(users, items, times) + world.context_logit(hours, devices)
    conversion_logit = world.conversion_logit(users, items, times)
    p_click = sigmoid(click_logit + intercept(click_logit, click_rate))
    p_given_click = sigmoid(conversion_logit + intercept(conversion_logit, conversion_rate))
    p_looked = (positions + 1.0) ** -position_bias
    click_draws, conversion_draws = random.uniform(size=n_samples), random.uniform(size=n_samples)

    data = world.describe(users, items)
    data["hour"], data["device"], data["position"] = hours, np.array(DEVICES, dtype=object)[devices], positions + 1
    for name in ("age", "brand"):
        data[name] = data[name].where(random.uniform(size=n_samples) >= missing)
    if seconds is not None:
        time = START + pd.to_timedelta(seconds, unit="s")
        data.insert(0, "time", time.astype("datetime64[us]"))  # the default unit depends on the version of pandas
    data = data.astype(dict.fromkeys(("user_id", "item_id", "segment", "brand", "hour", "device"), "category"))
    if lists:
        p_click, last_items = clicks_with_history(
            users, items, click_logit, tastes=world.item_taste, rate=click_rate, p_looked=p_looked, draws=click_draws
        )
        data["last_items"] = pd.Series(as_lists(last_items), dtype=object)

    click = click_draws < p_click * p_looked
    conversion = click & (conversion_draws < p_given_click)
    target = pd.DataFrame({"click": click.astype("int64"), "conversion": conversion.astype("int64")})
    truth = {
        "probabilities": _marginals(p_click * p_looked, p_given_click),
        "unbiased": _marginals(p_click, p_given_click),
    }
    if watch_time:
        expected, drawn = watch_seconds(world, users, items, times)
        target["watch_seconds"] = np.where(click, drawn, np.nan)
        truth["expected_values"] = pd.DataFrame({"watch_seconds": expected})
    return as_result(data, target, return_X_y=return_X_y, as_frame=as_frame, **truth, DESCR=make_funnel.__doc__ or "")


def _marginals(p_click: np.ndarray, p_given_click: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"click": p_click, "conversion": p_click * p_given_click})
