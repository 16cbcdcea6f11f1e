"""This library with its default parameters."""

from sklearn_fsmd import FSClassifier, FSMDClassifier


def contender(*, calibrated=False, **params):
    """FSMD if the targets are a funnel, else FS; with `calibrated`, calibrated on the validation rows."""

    def fit(data, seed):
        cls = FSMDClassifier if data.is_funnel else FSClassifier
        model = cls(random_state=seed, **params).fit(*data.train, X_val=data.valid.X, Y_val=data.valid.Y)
        if calibrated:
            model.calibrate(*data.valid)
        return predictions_of(model, data)

    return fit


def predictions_of(model, data):
    """A function that predicts the marginals, and in a funnel the probability of the step after the first target."""

    def predict(X):
        after = model.predict_conditionals(X)[:, 1] if data.is_funnel else None
        return model.predict_marginals(X), after

    return predict


CONTENDERS = {
    "sklearn-fsmd": contender(),
    "sklearn-fsmd, 4 members": contender(n_members=4),
    "sklearn-fsmd, calibrated": contender(calibrated=True),
    "sklearn-fsmd, bf16": contender(precision="bf16"),
}
