"""An ablation as one grid search
==============================

The comparison of the paper: how much does each part of the network contribute? Twelve combinations of low-order part,
extractor and link are trained and compared on the same rows.
"""

# sphinx_gallery_thumbnail_path = 'stored/ablation_with_grid_search_1.png'

import pandas as pd
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit

from sklearn_fsmd import MultiTaskClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.metrics import get_scorer


def main(n_samples: int = 20_000) -> pd.DataFrame:
    X, Y = make_funnel(n_samples, random_state=0, return_X_y=True)
    grid = {
        "low_order": [None, "fm"],
        "extractor": ["shared_bottom", "mmoe", "ple"],
        "link": ["independent", "chain"],
    }
    search = GridSearchCV(
        MultiTaskClassifier(max_epochs=10, random_state=0),
        grid,
        cv=list(StratifiedShuffleSplit(1, test_size=0.25, random_state=0).split(X, Y.sum(axis=1))),
        scoring={name: get_scorer(name) for name in ("click_auc", "conversion_auc", "mean_auc")},
        refit=False,
    ).fit(X, Y)
    results = pd.DataFrame(search.cv_results_["params"]).assign(
        **{name: search.cv_results_[f"mean_test_{name}"] for name in ("click_auc", "conversion_auc", "mean_auc")}
    )
    results = results.sort_values("mean_auc", ascending=False, ignore_index=True)
    print(results.to_string(float_format="%.4f"))
    return results


def draw(results: pd.DataFrame) -> None:
    """Draw a line per combination, the best at the top."""
    from matplotlib import pyplot as plt

    parts = results[["low_order", "extractor", "link"]].astype(object).fillna("none").agg(", ".join, axis=1)[::-1]
    figure, ax = plt.subplots(figsize=(7, 5), layout="constrained")
    for name in ("click_auc", "conversion_auc", "mean_auc"):
        ax.plot(results[name][::-1], parts, "o", label=name)
    ax.grid(axis="y", linewidth=0.4)
    ax.set(xlabel="AUC", title="What each part of the network is worth")
    figure.legend(loc="outside lower center", ncols=3)


if __name__ == "__main__":
    draw(main())
