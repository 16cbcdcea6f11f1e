"""PLE of torch-rechub, and PLE of this library."""


def theirs(X, Y, X_new):
    import tempfile

    import numpy as np
    import pandas as pd
    import torch
    from sklearn.preprocessing import (
        OrdinalEncoder,
        StandardScaler,
    )
    from torch.utils.data import DataLoader
    from torch_rechub.basic.features import (
        DenseFeature,
        SparseFeature,
    )
    from torch_rechub.models.multi_task import PLE
    from torch_rechub.trainers import MTLTrainer
    from torch_rechub.utils.data import (
        PredictDataset,
        TorchDataset,
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
    features = [
        SparseFeature(name, size, 16)
        for name, size in zip(ids, sizes, strict=True)
    ] + [DenseFeature(name) for name in numbers]
    layers = {"dropout": 0.3, "activation": "relu"}
    types = ["classification"] * 2
    model = PLE(
        features,
        types,
        n_level=1,
        n_expert_specific=2,
        n_expert_shared=2,
        expert_params={"dims": [256, 128], **layers},
        tower_params_list=[{"dims": [64], **layers}] * 2,
    )
    trainer = MTLTrainer(
        model,
        types,
        torch.optim.Adam,
        {"lr": 2e-3, "weight_decay": 0.0},
        model_path=tempfile.mkdtemp(),
    )
    labels = Y.to_numpy("float32")
    loader = DataLoader(
        TorchDataset(encode(X), labels), 256, shuffle=True
    )
    for _ in range(3):
        trainer.train_one_epoch(loader)
    new = DataLoader(PredictDataset(encode(X_new)), 4096)
    p = np.array(trainer.predict(model, new))
    return p[:, 0], p[:, 1]


def ours(X, Y, X_new):
    from sklearn_fsmd import PLEClassifier

    model = PLEClassifier(random_state=0)
    model.fit(X, Y)
    p_click, p_conversion = model.predict_marginals(X_new).T
    return p_click, p_conversion
