"""One LightGBM model per step, and one model for both."""


def theirs(X, Y, X_new):
    from lightgbm import LGBMClassifier

    # LightGBM uses the position of a category in the dtype.
    X_new = X_new.astype(X.dtypes)
    clicked = Y["click"] == 1
    click = LGBMClassifier(random_state=0, verbose=-1)
    click.fit(X, Y["click"])
    conversion = LGBMClassifier(random_state=0, verbose=-1)
    conversion.fit(X[clicked], Y["conversion"][clicked])
    pCTR = click.predict_proba(X_new)[:, 1]
    pCVR = conversion.predict_proba(X_new)[:, 1]
    return pCTR, pCTR * pCVR


def ours(X, Y, X_new):
    from sklearn_fsmd import FSMDClassifier

    model = FSMDClassifier(random_state=0)
    model.fit(X, Y)
    pCTR, pCTCVR = model.predict_marginals(X_new).T
    return pCTR, pCTCVR
