"""How the fixture of the third format was made: with lists that share embeddings, and bins. It is kept as it is."""

from pathlib import Path

import numpy as np

from sklearn_fsmd import FSMDClassifier
from tests.conftest import SMALL, make_frame


def rows(n=300):
    """The rows with a column of lists of cities."""
    X, Y = make_frame(n)
    return X.assign(last=[["Rome", "Oslo"][: i % 3] for i in range(n)]), Y


if __name__ == "__main__":
    X, Y = rows()
    model = FSMDClassifier(**SMALL | {"lr": 0.02}, interpolate_bins=True, shared_embeddings={"last": "city"}).fit(X, Y)
    model.save(Path(__file__).with_name("format-3.safetensors"))
    np.save(Path(__file__).with_name("format-3.npy"), model.predict_marginals(rows(20)[0]))
