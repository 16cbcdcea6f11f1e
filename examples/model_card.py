"""A model card
============

Train a model on a simulated shop, and describe it on later impressions in one Markdown file::

    python examples/model_card.py [path]

``examples/model_card.md`` is its output.
"""

# sphinx_gallery_thumbnail_path = 'understanding/reliability.png'

import sys
from pathlib import Path

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.export import model_card
from sklearn_fsmd.inspection import feature_importances

PURPOSE = """
It ranks the items of a **simulated** shop by clicks and purchases. The impressions come from `make_funnel`: nobody's
behaviour is in them, and no real item may be ranked by this model.
"""


def main(n_samples: int = 20_000, path: Path | str | None = None, n_bootstrap: int = 200) -> str:
    X, Y = make_funnel(n_samples, random_state=0, return_X_y=True)
    cut = int(0.8 * n_samples)
    model = FSMDClassifier(random_state=0).fit(X[:cut], Y[:cut])
    X_test, Y_test = X[cut:], Y[cut:]
    card = model_card(
        model,
        X_test,
        Y_test,
        path,
        by=["device", "segment"],
        groups=X_test["user_id"],
        description=PURPOSE,
        limits=["Prices are those of one currency, and items those of one shop."],
        importances=feature_importances(model, X_test, Y_test, max_samples=0.5, random_state=0),
        n_bootstrap=n_bootstrap,
        random_state=0,
    )
    return card.render()


if __name__ == "__main__":
    text = main(path=sys.argv[1] if len(sys.argv) > 1 else None)
    print(text.partition("## Calibration")[0])
