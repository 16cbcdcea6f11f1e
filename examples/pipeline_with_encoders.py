"""A Pipeline with category_encoders
=================================

The model accepts raw DataFrames. If you already have a pipeline with encoders, the model accepts their output too: in
categories it treats −1, −2 and NaN as missing. An encoder that also marks new values by them so confuses new with
missing values; raw columns do not. A Pipeline passes Y to every step, and the encoders of category_encoders refuse a Y
with two columns. `ForTask` hides Y from them, or passes the one column that a target encoder needs.
"""

import category_encoders
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.impute import SimpleImputer
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.pipeline import Pipeline

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.compose import ForTask
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.metrics import get_scorer


def main(n_samples: int = 20_000) -> dict[str, float]:
    X, Y = make_funnel(n_samples, random_state=0, return_X_y=True)
    columns = ColumnTransformer(
        [
            ("codes", ForTask(category_encoders.OrdinalEncoder()), make_column_selector(dtype_include="category")),
            ("numbers", SimpleImputer(), make_column_selector(dtype_include="number")),
        ],
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    ids = list(X.columns[X.dtypes == "category"])
    pipeline = Pipeline([("columns", columns), ("model", FSMDClassifier(categorical_features=ids, random_state=0))])

    # An integer cv would not stratify a Y of two columns, so stratify by the sum of the labels.
    folds = list(StratifiedKFold(3, shuffle=True, random_state=0).split(X, Y.sum(axis=1)))
    scoring = {name: get_scorer(name) for name in ("click_auc", "conversion_auc", "cvr_auc", "neg_mean_log_loss")}
    results = cross_validate(pipeline, X, Y, cv=folds, scoring=scoring)
    means = {name: float(results[f"test_{name}"].mean()) for name in scoring}
    for name, value in means.items():
        print(f"{name:20s} {value:8.4f}")
    return means


def draw(means: dict[str, float]) -> None:
    """Draw the AUCs as bars; random predictions have 0.5."""
    import pandas as pd

    auc = pd.Series(means).filter(like="_auc")
    ax = auc.plot.bar(figsize=(5, 3.5), ylim=(0.5, None), rot=0)
    ax.set(ylabel="mean of three folds", title="Cross-validated AUC")


if __name__ == "__main__":
    draw(main())
