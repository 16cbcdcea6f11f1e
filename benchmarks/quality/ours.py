"""This library, by its default parameters."""

from sklearn_fsmd import FSClassifier, FSMDClassifier


def contender(**params):
    """FSMD where the targets are a funnel, else FS."""

    def fit(data, seed):
        cls = FSMDClassifier if data.is_funnel else FSClassifier
        model = cls(random_state=seed, **params).fit(*data.train, X_val=data.valid.X, Y_val=data.valid.Y)

        def predict(X):
            after = model.predict_conditionals(X)[:, 1] if data.is_funnel else None
            return model.predict_marginals(X), after

        return predict

    return fit


CONTENDERS = {
    "sklearn-fsmd": contender(),
    "sklearn-fsmd, 4 members": contender(n_members=4),
    "sklearn-fsmd, bf16": contender(precision="bf16"),
}
