"""scikit-learn's MultiOutputClassifier, and one model."""


def theirs(X, Y, X_new):
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.multioutput import MultiOutputClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import (
        OneHotEncoder,
        StandardScaler,
    )

    numbers = ["age", "price", "position"]
    ids = [name for name in X if name not in numbers]
    columns = make_column_transformer(
        (
            OneHotEncoder(
                min_frequency=2,
                handle_unknown="infrequent_if_exist",
            ),
            ids,
        ),
        (
            make_pipeline(SimpleImputer(), StandardScaler()),
            numbers,
        ),
    )
    linear = LogisticRegression(max_iter=500, C=0.1)
    both = MultiOutputClassifier(linear)
    model = make_pipeline(columns, both)
    model.fit(X, Y)
    p_click, p_conversion = (
        p[:, 1] for p in model.predict_proba(X_new)
    )
    return p_click, p_conversion


def ours(X, Y, X_new):
    from sklearn_fsmd import FSMDClassifier

    model = FSMDClassifier(random_state=0)
    model.fit(X, Y)
    p_click, p_conversion = (
        p[:, 1] for p in model.predict_proba(X_new)
    )
    return p_click, p_conversion
