"""Random options on random tables: predictions are the same however they are computed, after any kind of training.

Tests of single options do not find faults of combinations. A refusal has to name a parameter that was set.
"""

import pickle
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

import sklearn_fsmd
from sklearn_fsmd import MultiTaskClassifier
from sklearn_fsmd.scoring import score_file
from tests.conftest import SMALL, make_frame, supported
from tests.export.files import File, check_same

CLASSES = [value for value in vars(sklearn_fsmd).values() if isinstance(value, type) and hasattr(value, "calibrate")]
PARENTS = {"revenue": "conversion", "seconds": "click"}
OPTIONS = {
    "average_decay": [0.0, 0.9],
    "batch_norm": [False],
    "chain_loss": ["entire_space", "both"],
    "dropout": [0.0],
    "early_stopping": [True, False],
    "embedding_compression": ["hash", "quotient_remainder"],
    "embedding_optimizer": ["sparse", "rowwise_adagrad"],
    "expert_dims": [(8,)],
    "extractor": ["ple", "mmoe", "shared_bottom", "separate", "shared_embedding"],
    "fm_sharing": ["per_task"],
    "gate_dims": [(8,)],
    "link": ["chain", "independent", (None, 0)],
    "list_pooling": ["sum", "max", "attention"],
    "low_order": [None, "linear", "fwfm"],
    "max_embedding_rows": [10],
    "max_list_length": [2],
    "min_frequency": [1, 2, 5],
    "n_levels": [2],
    "n_members": [2, 3],
    "negative_sampling_rate": [0.3],
    "new_categories": ["grow"],
    "numeric_bins": [0],
    "numeric_scaling": ["quantile", None],
    "optimizer": ["adam", "adagrad", "sgd"],
    "pretrain_epochs": [1],
    "target_statistics": [None],
    "task_weighting": ["uncertainty", "pcgrad", "gradnorm"],
    "tower_dims": [()],
    "unknown_rate": [0.2],
    "validation": ["last"],
    "validation_metric": ["loss"],
    "weight_decay": [0.0, 0.1],
}


def options(random):
    """A model with some options is fitted, perhaps trained further, and predicts in all possible ways."""
    X, Y = table(random)
    cls = MultiTaskClassifier if random.uniform() < 0.5 else one_of(random, CLASSES)
    params = params_of(random, cls, X, Y)
    weights = one_of(random, [None, random.uniform(0.5, 2, len(X)), random.uniform(0.5, 2, Y.shape)])
    try:
        model = cls(**{**supported(cls, SMALL), "max_epochs": 2, **params}).fit(X, Y, weights)
        one_of(random, [do_nothing, do_nothing, train_further, warm_start, calibrate, stream])(random, model, X, Y)
    except (TypeError, ValueError) as error:
        if any(name in str(error) for name in params):
            return
        raise AssertionError("a refusal that names no parameter") from error
    expected = predictions(model, X)
    check_probabilities(model, expected)
    rows = random.permutation(len(X))[: one_of(random, [1, 3, len(X)])]
    expected_of_rows = {name: values[rows] for name, values in expected.items()}
    assert_close(predictions(model, X.iloc[rows]), expected_of_rows, 1e-5 * steepness(model))
    assert_close(predictions(model, pa.Table.from_pandas(X, preserve_index=False)), expected, 0)
    assert_close(predictions(pickle.loads(pickle.dumps(model)), X), expected, 0)
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.fsmd")
        assert_close(predictions(cls.load(f"{folder}/model.fsmd"), X), expected, 0)
        check_same(model, File(model, Path(folder)), X, atol=1e-5 * steepness(model))
        X.to_parquet(f"{folder}/rows.parquet")
        score_file(model, f"{folder}/rows.parquet", f"{folder}/scores.parquet", batch_rows=70)
        scores = pd.read_parquet(f"{folder}/scores.parquet").to_numpy()
    assert_close(
        {"marginals": scores[:, : expected["marginals"].shape[1]]},
        {"marginals": expected["marginals"]},
        1e-5 * steepness(model),
    )


def one_of(random, choices):
    return choices[random.randint(len(choices))]


# -------------------------------------------------------------------------------------------------- tables and options


def table(random):
    """Some columns of every kind, and two or more targets, some of them with missing labels or with values."""
    n = one_of(random, [40, 150, 400])
    X, Y = make_frame(n, random.randint(10**6))
    X = X[list(random.permutation(X.columns))[: random.randint(1, 6)]].copy()
    if random.uniform() < 0.4:
        X["tags"] = cells(random, lambda: list(random.choice(["a", "b", "c", "é"], random.randint(0, 4))), n)
    if random.uniform() < 0.3:
        X["picture"] = cells(random, lambda: random.normal(size=3).astype(np.float32), n)
    if random.uniform() < 0.3:
        X["position"] = random.randint(1, 6, size=n).astype(float)
    if "user" in X and random.uniform() < 0.3:
        X["friends"] = cells(random, lambda: list(random.choice(X["user"].astype(object), random.randint(0, 4))), n)
    if random.uniform() < 0.25:
        missing = random.uniform(size=n) < 0.5
        Y["revenue"] = np.where(Y["conversion"] == 1, random.lognormal(size=n), np.where(missing, np.nan, 0.0))
        if random.uniform() < 0.3:
            Y["seconds"] = np.where(Y["click"] == 1, 10 * random.lognormal(size=n), 0.0)
    if random.uniform() < 0.25:
        for name in ("click", "conversion"):
            Y[name] = Y[name].astype(float).mask(random.uniform(size=n) < 0.2)
    return X, Y


def cells(random, draw, n):
    """A column of objects, of which one may be missing."""
    column = np.empty(n, dtype=object)
    for i in range(n):
        column[i] = draw()
    column[random.randint(n)] = one_of(random, [None, draw()])
    return column


def params_of(random, cls, X, Y):
    legal = cls().get_params()
    names = random.permutation([name for name in OPTIONS if name in legal])[: random.randint(0, 7)]
    params = {str(name): one_of(random, OPTIONS[name]) for name in names}
    if "position" in X and random.uniform() < 0.5:
        params["bias_features"] = ["position"]
    if "friends" in X and random.uniform() < 0.5:
        params["shared_embeddings"] = {"friends": "user"}
    if "city" in X and random.uniform() < 0.2:
        params["statistics_features"] = ["city"]
    if values := [name for name in PARENTS if name in Y]:
        params["value_targets"], params["value_loss"] = values, one_of(random, ["lognormal", "squared", "poisson"])
        params["value_parents"] = {name: PARENTS[name] for name in values}
    if random.uniform() < 0.2:
        params["task_weights"] = random.uniform(0.5, 2, Y.shape[1]).tolist()
    return params


# ---------------------------------------------------------------------------------------------------- further training


def do_nothing(random, model, X, Y):
    pass


def train_further(random, model, X, Y):
    rows = random.permutation(len(X))[:100]
    model.partial_fit(X.iloc[rows], Y.iloc[rows])


def warm_start(random, model, X, Y):
    model.set_params(warm_start=True).fit(X, Y)


def calibrate(random, model, X, Y):
    model.calibrate(X, Y)


def stream(random, model, X, Y):
    size, log = len(X) // 3, pd.concat([X, Y], axis=1)
    model.fit_dataset(lambda: (log[start : start + size] for start in range(0, len(log), size)), list(Y))


# --------------------------------------------------------------------------------------------------------- predictions


def predictions(model, X):
    predicted = {"marginals": model.predict_marginals(X), "conditionals": model.predict_conditionals(X)}
    return predicted | ({"values": model.predict_values(X)} if model.value_targets else {})


def check_probabilities(model, predicted):
    p = predicted["marginals"]
    assert ((p >= 0) & (p <= 1)).all()
    for k, parent in enumerate(model.module_.link.parents):
        assert parent is None or (p[:, k] <= p[:, parent]).all(), "a step is likelier than the one before it"
    assert all(np.isfinite(values).all() for values in predicted.values())


def steepness(model):
    """The factor by which a calibration enlarges differences; predictions close to one lead to large slopes."""
    return 1.0 if model.calibration_ is None else max(1.0, model.calibration_[:, 0].max())


def assert_close(actual, expected, tolerance):
    for name, values in expected.items():
        atol = tolerance * max(1.0, np.abs(values).max())
        np.testing.assert_allclose(actual[name], values, rtol=0, atol=atol, err_msg=name)
