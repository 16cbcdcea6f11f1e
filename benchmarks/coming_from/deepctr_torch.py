"""ESMM of DeepCTR-Torch, and ESMM of this library."""


def theirs(X, Y, X_new):
    import pandas as pd
    import torch
    from deepctr_torch.inputs import DenseFeat, SparseFeat
    from deepctr_torch.models import ESMM
    from sklearn.preprocessing import (
        OrdinalEncoder,
        StandardScaler,
    )

    numbers = ["age", "price", "position"]
    ids = [name for name in X if name not in numbers]
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=-1,
        encoded_missing_value=-1,
    ).fit(X[ids].astype(str))
    means = X[numbers].mean()
    scaler = StandardScaler().fit(X[numbers].fillna(means))

    def encode(X):
        coded = codes.transform(X[ids].astype(str)) + 1
        scaled = scaler.transform(X[numbers].fillna(means))
        table = pd.DataFrame(coded, columns=ids, dtype="int64")
        for k, name in enumerate(numbers):
            table[name] = scaled[:, k].astype("float32")
        return {name: table[name].to_numpy() for name in table}

    sizes = [len(values) + 1 for values in codes.categories_]
    columns = [
        SparseFeat(name, size, 16)
        for name, size in zip(ids, sizes, strict=True)
    ] + [DenseFeat(name, 1) for name in numbers]
    model = ESMM(
        columns,
        tower_dnn_hidden_units=(256, 128),
        dnn_dropout=0.3,
        task_names=["ctr", "ctcvr"],
    )
    model.compile(
        torch.optim.Adam(model.parameters(), 2e-3),
        loss=["binary_crossentropy"] * 2,
    )
    labels = Y.to_numpy("float32")
    model.fit(encode(X), labels, 256, epochs=3, verbose=0)
    pCTR, pCTCVR = model.predict(encode(X_new), 4096).T
    return pCTR, pCTCVR


def ours(X, Y, X_new):
    from sklearn_fsmd import ESMMClassifier

    model = ESMMClassifier(random_state=0)
    model.fit(X, Y)
    pCTR, pCTCVR = model.predict_marginals(X_new).T
    return pCTR, pCTCVR
