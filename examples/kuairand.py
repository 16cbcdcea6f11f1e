"""KuaiRand, from the log to a ranking
===================================

Real impressions of short videos: history features, a model of click and long view, predicted probabilities compared
with observed rates, and a ranked list for one user. The data are downloaded from their publisher (47 MB), or read from
the folder in the environment variable ``SKLEARN_FSMD_DATA``.

An event enters the history features of later rows after one hour. The model is trained on 25 April to 2 May 2022. Early
stopping uses 3 and 4 May, and the model is evaluated on 5 and 6 May. A conversion is a click with a long view.
"""

# sphinx_gallery_thumbnail_path = 'stored/kuairand_1.png'

import pandas as pd

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import fetch_kuairand_pure
from sklearn_fsmd.history import HistoryFeatures
from sklearn_fsmd.metrics import auc_per_task, cvr_auc, expected_calibration_error, group_auc

KEYS = ["user_id", "video_id", "author_id", ["user_id", "tab"], "tab"]


def read(n_samples: int | None) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """Return the impressions with their times, the targets, and the local day of each impression."""
    log = fetch_kuairand_pure(start="2022-04-25", end="2022-05-06")
    every = 1 if n_samples is None else max(len(log.data) // n_samples, 1)
    X = log.data.assign(time=log.time)[::every].reset_index(drop=True)
    local = X["time"].dt.tz_localize("UTC").dt.tz_convert("Asia/Shanghai")
    day = local.dt.strftime("%m-%d")
    return X, log.target[::every].reset_index(drop=True), day


def main(n_samples: int | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    X, Y, day = read(n_samples)
    history = HistoryFeatures(time="time", keys=KEYS, delay="1h", drop=["time"])
    X = history.fit_transform(X, Y)  # features as of an hour before each row
    train, valid, test = day <= "05-02", day.between("05-03", "05-04"), day >= "05-05"

    # The history contains the information of target statistics, and is more recent.
    model = FSMDClassifier(target_statistics=None, random_state=0)
    model.fit(X[train], Y[train], X_val=X[valid], Y_val=Y[valid])

    p, Y_test, users = model.predict_marginals(X[test]), Y[test], X.loc[test, "user_id"]
    table = pd.DataFrame(
        {
            "AUC": auc_per_task(Y_test, p),
            "AUC within users": [group_auc(Y_test[name], p[:, k], users) for k, name in enumerate(Y)],
            "calibration error": [expected_calibration_error(Y_test[name], p[:, k]) for k, name in enumerate(Y)],
            "mean prediction": p.mean(axis=0),
            "observed": Y_test.mean().to_numpy(),
        },
        index=list(Y),
    )
    print(f"{train.sum():,} rows of training, {test.sum():,} to judge by, {X.shape[1]} columns, {model.n_iter_} epochs")
    print(table.round(4).to_string())
    print(f"AUC of the long view among the clicked rows: {cvr_auc(Y_test, p):.4f}")

    one = users.value_counts().index[0]
    rows = X[test][users == one]
    ranked = rows[["video_id", "author_id", "tab"]].assign(score=model.rank_score(rows, weights=[1.0, 1.0]))
    print(f"\nfirst for user {one}:\n{ranked.sort_values('score', ascending=False).head(5).to_string(index=False)}")
    return table, pd.DataFrame(p, columns=list(Y)).join(Y_test.reset_index(drop=True).add_suffix(" observed"))


def draw(predictions: pd.DataFrame) -> None:
    """Draw mean predictions against observed rates, in 20 bins of equal size."""
    from matplotlib import pyplot as plt

    _, ax = plt.subplots(figsize=(5.5, 5), layout="constrained")
    for name in ("click", "conversion"):
        bins = pd.qcut(predictions[name], 20, labels=False, duplicates="drop")
        means = predictions.groupby(bins)[[name, f"{name} observed"]].mean()
        ax.plot(means[name], means[f"{name} observed"], marker="o", markersize=4, label=name)
    ax.axline((0, 0), slope=1, color="grey", linewidth=0.8, zorder=0)
    ax.set(xlabel="mean prediction", ylabel="observed rate", title="KuaiRand-Pure, 5 and 6 May 2022")
    ax.legend(frameon=False)


if __name__ == "__main__":
    draw(main()[1])
