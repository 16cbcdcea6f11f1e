"""The paper's comparison as one grid search: which part of the network pays?"""

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


if __name__ == "__main__":
    main()
