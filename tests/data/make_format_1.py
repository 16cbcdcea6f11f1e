"""How the fixture of the first format was made; it is kept as it is."""

from pathlib import Path

import numpy as np

from sklearn_fsmd import FSMDClassifier
from tests.conftest import SMALL, make_frame

if __name__ == "__main__":
    X, Y = make_frame()
    model = FSMDClassifier(**SMALL, bias_features=["visits"]).fit(X, Y)
    model.save(Path(__file__).with_name("format-1.safetensors"))
    np.save(Path(__file__).with_name("format-1.npy"), model.predict_marginals(make_frame(20)[0]))
