"""A simulated funnel, whose true probabilities are known."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch, check_random_state

from sklearn_fsmd.datasets._last_items import as_lists, clicks_in_turn
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

    Users and items have tastes: a click comes from the match of the user's and the item's, from the user's eagerness,
    the item's appeal and the context; a conversion after the click from another match, from the item's quality and
    its price. Half of it is seen in X (it belongs to the user's segment or the item's brand), the rest only through
    the ids.

    Parameters
    ----------
    n_samples : int, default=50_000
        Number of impressions.
    n_users, n_items : int, default=1_000 and 300
        How many users and items there are.
    click_rate : float, default=0.3
        Mean probability of a click on an item that is looked at.
    conversion_rate : float, default=0.3
        Mean probability of a conversion after a click, over all impressions.
    position_bias : float, default=0.0
        How much attention falls with the position: an item at position r = 1 … 10 is looked at with the probability
        r ** -position_bias, and clicked only then.
    selection_bias : float, default=0.0
        How strongly the system that made the log preferred, for each user, items of a high click probability, and put
        them on the upper positions. With 0 items are drawn at random.
    conflict : float, default=0.3
        In [−1, 1]: how much what invites clicks speaks against conversions (or, below 0, for them).
    missing : float, default=0.02
        Share of the values missing in the columns `age` and `brand`.
    history : bool, default=False
        Whether the impressions are a log of 30 days: X has a column `time`, by which it is sorted, and tastes drift, so
        that what has just happened tells more than what is long ago.
    watch_time : bool, default=False
        Whether the targets have a third column, `watch_seconds`: for how long a clicked item is watched, in seconds, as
        float64. It is NaN in rows without a click, and after a click 0 or lognormal (a zero-inflated lognormal
        distribution), the longer the better the item meets the user's taste.
    lists : bool, default=False
        Whether X has a column `last_items`: lists of up to five items, the last ones that the user clicked before the
        row, the newest last. Clicks then also depend on them: an item that resembles one of the list is clicked more
        often than others. Needs ``history=True``.
    random_state : int, RandomState instance or None, default=None
    return_X_y : bool, default=False
        Whether to return ``(X, Y)`` alone.
    as_frame : bool, default=True
        DataFrames, or else arrays.

    Returns
    -------
    data : Bunch, or (X, Y)
        With `data`, `target` (`click`, `conversion`), `feature_names`, `target_names` and, as frames:
        `probabilities` with the true marginals P(click) and P(conversion) of each impression as it was shown, and
        `unbiased` with those of the same item at the first position. With `watch_time` also `expected_values`, whose
        column `watch_seconds` is the true E[seconds | click] of each impression.

    Raises
    ------
    ValueError
        If a parameter is out of its range or no integer where it counts, or `lists` is set without `history`.

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
        raise ValueError("lists=True needs history=True: only a log with times has a past.")
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
    looked = (positions + 1.0) ** -position_bias
    luck, later_luck = random.uniform(size=n_samples), random.uniform(size=n_samples)

    data = world.describe(users, items)
    data["hour"], data["device"], data["position"] = hours, np.array(DEVICES, dtype=object)[devices], positions + 1
    for name in ("age", "brand"):
        data[name] = data[name].where(random.uniform(size=n_samples) >= missing)
    if seconds is not None:
        time = START + pd.to_timedelta(seconds, unit="s")
        data.insert(0, "time", time.astype("datetime64[us]"))  # whatever the unit of this pandas is
    data = data.astype(dict.fromkeys(("user_id", "item_id", "segment", "brand", "hour", "device"), "category"))
    if lists:
        p_click, last = clicks_in_turn(
            users, items, click_logit, tastes=world.item_taste, rate=click_rate, looked=looked, luck=luck
        )
        data["last_items"] = pd.Series(as_lists(last), dtype=object)

    click = luck < p_click * looked
    conversion = click & (later_luck < p_given_click)
    target = pd.DataFrame({"click": click.astype("int64"), "conversion": conversion.astype("int64")})
    truth = {
        "probabilities": _marginals(p_click * looked, p_given_click),
        "unbiased": _marginals(p_click, p_given_click),
    }
    if watch_time:
        expected, drawn = watch_seconds(world, users, items, times)
        target["watch_seconds"] = np.where(click, drawn, np.nan)
        truth["expected_values"] = pd.DataFrame({"watch_seconds": expected})
    return as_result(data, target, return_X_y=return_X_y, as_frame=as_frame, **truth, DESCR=make_funnel.__doc__ or "")


def _marginals(p_click: np.ndarray, p_given_click: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"click": p_click, "conversion": p_click * p_given_click})
