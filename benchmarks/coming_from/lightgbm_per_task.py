"""A model of LightGBM per step, beside one model of both."""


def theirs(X, Y, X_new):
    from lightgbm import LGBMClassifier

    # Categories are known by their place in the dtype.
    X_new = X_new.astype(X.dtypes)
    clicked = Y["click"] == 1
    click = LGBMClassifier(random_state=0, verbose=-1)
    click.fit(X, Y["click"])
    after = LGBMClassifier(random_state=0, verbose=-1)
    after.fit(X[clicked], Y["conversion"][clicked])
    pCTR = click.predict_proba(X_new)[:, 1]
    pCVR = after.predict_proba(X_new)[:, 1]
    return pCTR, pCTR * pCVR


def ours(X, Y, X_new):
    from sklearn_fsmd import FSMDClassifier

    model = FSMDClassifier(random_state=0)
    model.fit(X, Y)
    pCTR, pCTCVR = model.predict_marginals(X_new).T
    return pCTR, pCTCVR
