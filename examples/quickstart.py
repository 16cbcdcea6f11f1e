"""Click and conversion probabilities
==================================

Train on the first rows of a simulated funnel, predict and rank the last rows, and plot all predictions.
"""

import pandas as pd

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.metrics import auc_per_task


def main(n_samples: int = 20_000) -> tuple[pd.Series, pd.DataFrame]:
    X, Y = make_funnel(n_samples, random_state=0, return_X_y=True)
    train, test = slice(None, n_samples * 4 // 5), slice(n_samples * 4 // 5, None)

    model = FSMDClassifier(random_state=0).fit(X[train], Y[train])
    p_click, p_conversion = model.predict_marginals(X[test]).T
    p_conversion_after_click = model.predict_conditionals(X[test])[:, 1]

    auc = pd.Series(auc_per_task(Y[test], model.predict_marginals(X[test])), index=model.task_names_)
    print(f"AUC: {auc.round(4).to_dict()}")
    print(
        f"mean pCTR {p_click.mean():.3f}, pCTCVR {p_conversion.mean():.3f}, pCVR {p_conversion_after_click.mean():.3f}"
    )

    first = model.rank_score(X[test], weights=[1.0, 0.5]).argmax()
    print(f"ranked first:\n{X[test].iloc[first]}")
    return auc, pd.DataFrame({"pCTR": p_click, "pCVR": p_conversion_after_click, "pCTCVR": p_conversion})


def draw(predictions: pd.DataFrame) -> None:
    """Draw each impression by pCTR and pCVR; the colour is pCTCVR, their product."""
    ax = predictions.plot.scatter("pCTR", "pCVR", c="pCTCVR", colormap="viridis", s=6, figsize=(6, 4.5))
    ax.set_title("pCTCVR = pCTR · pCVR")


if __name__ == "__main__":
    draw(main()[1])
