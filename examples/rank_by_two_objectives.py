"""One ranking from two objectives
===============================

Which weights of click and conversion give the best ranked lists?

The log has a position bias. A bias tower absorbs it during training, and predictions are made without it. The weights
are chosen on validation impressions. The lists of the users are evaluated on test impressions.
"""

import pandas as pd

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.metrics import group_auc, ndcg_at_k
from sklearn_fsmd.ranking import tune_rank_weights

VALUE_OF_A_CONVERSION = 4.0  # in clicks


def gain(Y: pd.DataFrame) -> pd.Series:
    """Return the gain of each impression, in clicks."""
    return Y["click"] + VALUE_OF_A_CONVERSION * Y["conversion"]


def main(n_samples: int = 40_000) -> pd.DataFrame:
    X, Y = make_funnel(
        n_samples, n_users=n_samples // 40, position_bias=0.7, conflict=0.6, random_state=0, return_X_y=True
    )
    ends = [int(n_samples * share) for share in (0.6, 0.8, 1.0)]
    train, valid, test = (slice(start, end) for start, end in zip([0, *ends], ends, strict=False))
    model = FSMDClassifier(bias_features=["position"], random_state=0)
    model.fit(X[train], Y[train], X_val=X[valid], Y_val=Y[valid])

    def utility(Y, score):
        return ndcg_at_k(gain(Y), score, X["user_id"][valid], k=5)

    tuned = tune_rank_weights(model, X[valid], Y[valid], utility)
    users = X["user_id"][test]
    rows = {}
    for name, weights in {"click alone": [1, 0], "conversion alone": [0, 1], "equal": [1, 1], "tuned": tuned}.items():
        score = model.rank_score(X[test], weights)
        rows[name] = {
            "weights": " : ".join(f"{w:.2f}" for w in weights),
            "NDCG@5": ndcg_at_k(gain(Y[test]), score, users, k=5),
            "group AUC click": group_auc(Y["click"][test], score, users),
            "group AUC conversion": group_auc(Y["conversion"][test], score, users),
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    print(table.to_string(float_format="%.4f"))
    return table


def draw(table: pd.DataFrame) -> None:
    ax = table["NDCG@5"].plot(style="o", figsize=(6, 4), grid=True, xlim=(-0.5, 3.5))
    ax.set(ylabel="NDCG@5 of the users' lists", title="Quality of the lists by weights")


if __name__ == "__main__":
    draw(main())
