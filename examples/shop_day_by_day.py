"""A shop, day by day
==================

One model for clicks, orders and revenue: trained on a log whose last orders are still missing, then used every day.

The log of a simulated shop has the time and the position of each impression. An order counts if it comes within four
days, so the orders of the last four days are not final and are left out of training. Ten more days follow. Each morning
the model scores the day; each evening it gets the rows that became final, without training again. On the last day it
ranks the shelf of one user by expected revenue.
"""

import copy
from tempfile import TemporaryDirectory

import joblib
import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline, make_pipeline

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.compose import TimeFeatures, ask
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.metrics import mean_auc

FINAL_AFTER = 4  # days until all orders of a row are known
TODAY = 20  # the day of the fit
LAST_DAY = 30


def make_log(n_samples: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """Impressions, final labels, and the day of each row."""
    X, Y = make_funnel(n_samples, history=True, position_bias=0.5, random_state=0, return_X_y=True)
    quantity = 1 + np.random.default_rng(0).poisson(0.5, size=len(X))
    Y = Y.rename(columns={"conversion": "order"}).assign(revenue=X["price"] * quantity)
    Y["revenue"] = Y["revenue"].where(Y["order"] == 1)
    day = (X["time"] - X["time"].min().normalize()).dt.days
    return X.drop(columns="hour"), Y, day


def fit(X: pd.DataFrame, Y: pd.DataFrame, day: pd.Series) -> Pipeline:
    """Train on the labels that are known on the day of the fit."""
    past, is_young = day < TODAY, day >= TODAY - FINAL_AFTER
    known = Y.astype(float)
    known.loc[is_young, ["order", "revenue"]] = np.nan
    model = FSMDClassifier(
        value_targets=["revenue"],
        value_parents={"revenue": "order"},
        bias_features=["position"],  # its effect on clicks is learned apart, so the ranking does not depend on it
        new_categories="grow",
        random_state=0,
    )
    return make_pipeline(TimeFeatures(), model).fit(X[past], known[past])


def score_and_update(pipeline: Pipeline, X: pd.DataFrame, Y: pd.DataFrame, day: pd.Series) -> pd.DataFrame:
    """Mean AUC of clicks and orders on each day after the fit, with and without the updates."""
    first = copy.deepcopy(pipeline)
    rows = {}
    for today in range(TODAY, LAST_DAY):
        now = day == today
        p = {
            name: ask(model, "predict_marginals", X[now], as_shown=True)  # at the logged positions
            for name, model in {"updated daily": pipeline, "never updated": first}.items()
        }
        # In production these labels come four days later.
        rows[today] = {name: mean_auc(Y.loc[now, ["click", "order"]], p[name]) for name in p}
        final = (day == today - FINAL_AFTER) & (day >= TODAY)  # the clicks of earlier rows are in the fit
        if final.any():
            ask(pipeline, "update_statistics", X[final], Y[final])
    return pd.DataFrame(rows).T.rename_axis("day")


def rank_shelf(pipeline: Pipeline, X: pd.DataFrame) -> pd.DataFrame:
    """All items for the last user, by the expected revenue of an impression."""
    items = X.drop_duplicates("item_id", keep="last")
    of_user = [name for name in X if name not in ("item_id", "brand", "price")]
    shelf = items.assign(**{name: X[name].iloc[-1] for name in of_user}).astype(X.dtypes)
    p = ask(pipeline, "predict_marginals", shelf)
    ranked = shelf[["item_id", "price"]].assign(
        click=p[:, 0], order=p[:, 1], expected_revenue=ask(pipeline, "predict_values", shelf)[:, 0]
    )
    return ranked.sort_values("expected_revenue", ascending=False).head(10)


def main(n_samples: int = 60_000) -> tuple[pd.DataFrame, pd.DataFrame]:
    X, Y, day = make_log(n_samples)
    pipeline = fit(X, Y, day)
    by_day = score_and_update(pipeline, X, Y, day)
    with TemporaryDirectory() as folder:
        joblib.dump(pipeline, f"{folder}/shop.joblib")  # the whole Pipeline, for the server
        served = joblib.load(f"{folder}/shop.joblib")
    return by_day, rank_shelf(served, X)


def draw(by_day: pd.DataFrame) -> None:
    ax = by_day.plot(marker="o", figsize=(6, 4))
    ax.set(xlabel="day", xticks=by_day.index, ylabel="mean AUC of clicks and orders")


if __name__ == "__main__":
    by_day, shelf = main()
    print(by_day.round(4).to_string())
    print(shelf.round(3).to_string(index=False))
    draw(by_day)
