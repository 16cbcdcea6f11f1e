"""A log that grows
================

History features of each impression, a model, and a daily update without training again.

The preferences of users drift in this log of 30 days, so recent events are more informative than old ones. The model is
trained on 25 days. On each of the last five days, the rows of the day are scored, and then added to the history. The
model is not trained on them.
"""

import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.compose import ask
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.history import HistoryFeatures
from sklearn_fsmd.metrics import mean_auc


def main(n_samples: int = 40_000) -> pd.DataFrame:
    X, Y = make_funnel(n_samples, history=True, random_state=0, return_X_y=True)
    day = (X["time"] - X["time"].min().normalize()).dt.days
    train = day < 25
    keys = ["user_id", "item_id", ["segment", "brand"]]
    history = HistoryFeatures(time="time", keys=keys, delay="1D", half_life="5D", drop=["time"])
    model = FSMDClassifier(validation="last", random_state=0)  # the rows are sorted by time
    behind = clone(model).set_params(target_statistics=None)  # the history has the same information
    pipeline = make_pipeline(history, behind).fit(X[train], Y[train])
    without = clone(model).fit(X[train].drop(columns="time"), Y[train])
    rows = {}
    for today in range(25, 30):
        now = day == today
        rows[today] = {
            "with history": mean_auc(Y[now], ask(pipeline, "predict_marginals", X[now])),
            "without": mean_auc(Y[now], without.predict_marginals(X[now].drop(columns="time"))),
        }
        pipeline[0].update(X[now], Y[now])
    return pd.DataFrame(rows).T.rename_axis("day")


def draw(table: pd.DataFrame) -> None:
    ax = table.plot(marker="o", figsize=(6, 4))
    ax.set(xlabel="day", xticks=table.index, ylabel="mean AUC", title="A model that was trained on days 0 to 24")


if __name__ == "__main__":
    by_day = main()
    print(by_day.round(4).to_string())
    draw(by_day)
