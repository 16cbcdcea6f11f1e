"""How the fixture of the second format was made: with statistics, members and calibration. It is kept as it is."""

from pathlib import Path

import numpy as np

from sklearn_fsmd import FSMDClassifier
from tests.conftest import SMALL, make_frame

if __name__ == "__main__":
    X, Y = make_frame()
    keys = ["user", ("city", "user")]
    model = FSMDClassifier(**SMALL | {"lr": 0.02}, statistics_features=keys, n_members=2).fit(X, Y).calibrate(X, Y)
    model.save(Path(__file__).with_name("format-2.safetensors"))
    np.save(Path(__file__).with_name("format-2.npy"), model.predict_marginals(make_frame(20)[0]))
