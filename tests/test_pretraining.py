"""Pretraining without targets: embeddings are trained on rows without labels."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import wilcoxon
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_fsmd import DenoisingEmbedder, FSClassifier, FSMDClassifier, MultiTaskClassifier, SingleTaskClassifier
from sklearn_fsmd.datasets import fetch_census_income
from sklearn_fsmd.encoding.table.encoder import FeatureEncoder
from sklearn_fsmd.metrics import auc_per_task, mean_auc
from sklearn_fsmd.training.pretraining import pretrain
from tests.conftest import SMALL, make_frame, supported


def shops(n, seed, n_items=60):
    """Items of two kinds. The kind of an item determines its colour, its price and its clicks."""
    random = np.random.RandomState(seed)
    item = random.randint(n_items, size=n)
    kind = item % 2
    colour = np.where(random.uniform(size=n) < 0.9, kind, 1 - kind)
    X = pd.DataFrame(
        {
            "item": pd.Categorical([f"item {i}" for i in item], categories=[f"item {i}" for i in range(n_items)]),
            "colour": pd.Categorical(np.array(["red", "blue"])[colour]),
            "price": kind * 2.0 + random.normal(size=n),
        }
    )
    click = random.uniform(size=n) < np.where(kind == 1, 0.8, 0.2)
    conversion = click & (random.uniform(size=n) < np.where(kind == 1, 0.7, 0.3))
    return X, pd.DataFrame({"click": click.astype(int), "conversion": conversion.astype(int)})


def only_item(X):
    """Rows in which only the item is known."""
    return X.assign(colour=pd.Categorical([None] * len(X), categories=["red", "blue"]), price=np.nan)


def test_rows_without_targets_improve_predictions():
    (X, Y), (more, _), (X_test, Y_test) = shops(120, 0), shops(4000, 1), shops(4000, 2)
    X, X_test = only_item(X), only_item(X_test)
    gains = []
    for seed in range(3):
        model = FSMDClassifier(**{**SMALL, "max_epochs": 30, "random_state": seed}, logistic_regression=False)
        plain = mean_auc(Y_test, model.fit(X, Y).predict_marginals(X_test))
        model.set_params(pretrain_epochs=15).fit(X, Y, X_unlabeled=more)
        gains.append(mean_auc(Y_test, model.predict_marginals(X_test)) - plain)
    assert min(gains) > 0.02


def test_rows_without_targets_help_on_real_data_with_few_labels(real_data):
    """Embeddings alone do not help: the layer after them has learned which values occur together.

    The fit takes many small steps: with the default learning rate, which is larger, eight epochs overfit 500 labels.
    It is the network alone: the logistic regressions that the defaults add have no pretraining.
    With 500 labels, rounding errors change the gain of a seed by up to 0.03, so the test compares signs and ranks.
    """
    X, Y = fetch_census_income(return_X_y=True)
    gains = []
    for seed in range(6):
        labelled, unlabelled, held_out = np.split(
            np.random.RandomState(seed).permutation(len(X))[:40_500], [500, 20_500]
        )
        model = FSClassifier(lr=2e-3, max_epochs=8, logistic_regression=False, n_threads=1, random_state=seed)
        plain = auc_per_task(
            Y.iloc[held_out], model.fit(X.iloc[labelled], Y.iloc[labelled]).predict_marginals(X.iloc[held_out])
        )
        model.set_params(pretrain_epochs=4).fit(X.iloc[labelled], Y.iloc[labelled], X_unlabeled=X.iloc[unlabelled])
        gains.append(auc_per_task(Y.iloc[held_out], model.predict_marginals(X.iloc[held_out])) - plain)
    income, never_married = np.transpose(gains)
    assert wilcoxon(income, alternative="greater").pvalue < 0.05
    assert never_married.mean() > -0.002  # the gain is −0.001 to 0.0085: this target is easy without pretraining


def test_the_network_starts_from_the_pretrained_embeddings(frame):
    X, Y = frame
    fixed = {**SMALL, "lr": 1e-12, "max_epochs": 1, "weight_decay": 0.0, "average_decay": 0.0, "early_stopping": False}
    plain = FSMDClassifier(**fixed).fit(X, Y).module_.embedding.table.weight
    trained = FSMDClassifier(**fixed, pretrain_epochs=3).fit(X, Y).module_.embedding.table.weight
    assert plain.abs().max() < 0.001 < 0.005 < trained.abs().mean()


@pytest.mark.parametrize("features", [["city", "price"], [1, 3], [False, True, False, True, False]])
def test_only_the_chosen_features_are_pretrained(frame, features):
    X, Y = frame
    fixed = {**SMALL, "lr": 1e-12, "max_epochs": 1, "weight_decay": 0.0, "average_decay": 0.0, "early_stopping": False}
    model = FSMDClassifier(**fixed, pretrain_epochs=2, pretrain_features=features).fit(X, Y)
    encoder, table = model._encoder.main, model.module_.embedding.table.weight.detach().abs()
    names = [c.name for c in (*encoder.categories.values(), *encoder.numeric.values())]
    for name, offset, n in zip(names, encoder.offsets, encoder.cardinalities, strict=True):
        assert (table[offset : offset + n].max() > 0.005) == (name in ("city", "price"))


def test_each_task_of_a_separate_model_starts_from_the_embeddings(frame):
    X, Y = frame
    fixed = {"lr": 1e-12, "max_epochs": 1, "weight_decay": 0.0, "average_decay": 0.0, "early_stopping": False}
    fixed = supported(SingleTaskClassifier, SMALL) | fixed
    table = SingleTaskClassifier(**fixed, pretrain_epochs=2).fit(X, Y).module_.embedding.table.weight.detach()
    torch.testing.assert_close(table[:, :4], table[:, 4:], atol=1e-6, rtol=0)


def test_pretraining_depends_on_the_seed(frame):
    X, _ = frame
    encoder = FeatureEncoder.from_params(MultiTaskClassifier(**SMALL))
    rows = encoder.fit_encode(X)
    options = {"dim": 4, "epochs": 2, "noise": 0.2, "device": "cpu"}
    learned = [pretrain(encoder, rows, np.ones(5, bool), seed=seed, **options) for seed in (0, 0, 1)]
    for one, same_seed, other_seed in zip(*((result.vectors, result.layer.weight) for result in learned), strict=True):
        assert torch.equal(one, same_seed)
        assert not torch.equal(one, other_seed)


def test_pretraining_some_columns_ignores_the_other_columns(frame):
    X, _ = frame
    names, options = ["member", "visits"], {"dim": 4, "epochs": 2, "noise": 0.2, "device": "cpu", "seed": 0}
    results = []
    for table in (X, X[[name for name in X if name in names]]):
        encoder = FeatureEncoder.from_params(MultiTaskClassifier(**SMALL))
        rows = encoder.fit_encode(table)
        results.append((encoder, pretrain(encoder, rows, np.array([name in names for name in table]), **options)))
    (encoder, part), (_, whole) = results
    assert torch.equal(part.vectors[~part.vectors.isnan().any(dim=1)], whole.vectors)
    assert torch.equal(part.layer.weight, whole.layer.weight)
    starts = dict(zip(["user", "city", "member", "price", "visits"], range(0, 20, 4), strict=True))
    expected = [starts[name] + d for name in names for d in range(4)] + [21]
    assert (part.positions.tolist(), part.n_embedded) == (expected, 8)
    assert whole.positions.tolist() == list(range(9))


def test_unscaled_numbers_do_not_dominate_categories():
    """Without scaling a number may be in the tens of thousands."""
    X, _ = shops(4000, 0)
    X["price"] = 5e4 + 1e4 * X["price"]
    options = {"embedding_dim": 4, "n_epochs": 15, "random_state": 0, "numeric_bins": 0, "numeric_scaling": None}
    vectors = DenoisingEmbedder(**options).fit(X).embeddings_[1:61]
    kind = np.array([int(name.split()[1]) % 2 for name in sorted(X["item"].unique())])
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    same = kind[:, None] == kind
    assert (unit @ unit.T)[same].mean() > (unit @ unit.T)[~same].mean() + 0.5


def test_weights_that_are_not_finite_raise_an_error(frame):
    X, _ = frame
    with pytest.raises(FloatingPointError, match="Pretraining has led to weights that are not finite. Scale"):
        DenoisingEmbedder(n_epochs=1, numeric_scaling=None).fit(X.assign(price=X["price"] * 1e36))


def test_values_that_occur_only_without_targets_are_known():
    (X, Y), (more, _) = shops(100, 0), shops(500, 1, n_items=90)
    model = FSMDClassifier(**SMALL, pretrain_epochs=1).fit(X, Y, X_unlabeled=more)
    assert "item 89" in model._encoder.main.categories[0].values  # noqa: PD011
    assert len(model.predict_marginals(more)) == 500


def test_categories_stay_categories_when_the_levels_differ():
    """Concatenating two columns of category dtype with different levels gives a column of numbers."""
    X, Y = make_frame(200)
    X["user"] = X["user"].cat.remove_unused_categories()
    more = X[:50].assign(user=pd.Categorical(np.arange(50) + 7))
    model = FSMDClassifier(**SMALL, pretrain_epochs=1).fit(X, Y, X_unlabeled=more)
    assert [column.name for column in model._encoder.main.categories.values()] == ["user", "city", "member"]


def test_accepts_arrays(rng):
    X, more = rng.randint(5, size=(100, 2)), rng.randint(5, size=(300, 2))
    Y = np.stack((X[:, 0] > 2, (X > 2).all(axis=1)), axis=1)
    model = FSMDClassifier(**SMALL, categorical_features="all", pretrain_epochs=2)
    assert np.isfinite(model.fit(X, Y, X_unlabeled=more).predict_marginals(X)).all()


def test_works_in_a_grid_search(frame):
    X, Y = frame
    grid = {"pretrain_epochs": [0, 2], "pretrain_noise": [0.1, 0.4], "pretrain_features": [None, ["city"]]}
    search = GridSearchCV(FSMDClassifier(**SMALL), grid, cv=2).fit(X, Y)
    assert len(set(search.cv_results_["mean_test_score"])) == 5  # without epochs the others change nothing


class TestRefusals:
    def test_other_columns(self, frame):
        X, Y = frame
        model = FSMDClassifier(**SMALL, pretrain_epochs=1)
        with pytest.raises(ValueError, match=r"X has \['user', 'city'.*`X_unlabeled` has \['town'"):
            model.fit(X, Y, X_unlabeled=X[["city"]].rename(columns={"city": "town"}))

    def test_other_width(self, rng):
        X = rng.normal(size=(50, 3))
        with pytest.raises(ValueError, match="X has 2 features, but FSMDClassifier is expecting 3"):
            FSMDClassifier(**SMALL, pretrain_epochs=1).fit(X, np.sort(X[:, :2] > 0)[:, ::-1], X_unlabeled=X[:, :2])

    def test_another_kind(self, frame):
        X, Y = frame
        with pytest.raises(TypeError, match="must be of one kind"):
            FSMDClassifier(**SMALL, pretrain_epochs=1).fit(X, Y, X_unlabeled=X.to_numpy(object))

    def test_without_pretraining(self, frame):
        X, Y = frame
        with pytest.raises(ValueError, match="pretrain_epochs is 0"):
            FSMDClassifier(**SMALL).fit(X, Y, X_unlabeled=X)

    def test_warm_start(self, frame):
        X, Y = frame
        model = FSMDClassifier(**SMALL, pretrain_epochs=1, warm_start=True).fit(X, Y)
        with pytest.raises(ValueError, match="continues a former fit"):
            model.fit(X, Y, X_unlabeled=X)

    def test_unknown_features(self, frame):
        X, Y = frame
        with pytest.raises(ValueError, match="pretrain_features has an item value 'town' which is not a valid"):
            FSMDClassifier(**SMALL, pretrain_epochs=1, pretrain_features=["town"]).fit(X, Y)

    def test_no_features(self, frame):
        X, Y = frame
        with pytest.raises(ValueError, match="'pretrain_features' parameter \\[\\] names no column"):
            FSMDClassifier(**SMALL, pretrain_epochs=1, pretrain_features=[]).fit(X, Y)

    def test_nothing_to_embed(self, rng):
        X = rng.normal(size=(50, 2))
        with pytest.raises(ValueError, match="Pretraining has no column with embeddings"):
            FSMDClassifier(**{**SMALL, "numeric_bins": 0}, pretrain_epochs=1).fit(X, np.sort(X > 0)[:, ::-1])


class TestEmbedder:
    def test_similar_values_get_similar_embeddings(self):
        X, _ = shops(4000, 0)
        embedder = DenoisingEmbedder(embedding_dim=4, n_epochs=15, random_state=0).fit(X)
        items = embedder.embeddings_[1:61]  # the first row is for unknown items
        kind = np.array([int(name.split()[1]) % 2 for name in sorted(X["item"].unique())])
        unit = items / np.linalg.norm(items, axis=1, keepdims=True)
        similarity = unit @ unit.T
        same = kind[:, None] == kind
        assert similarity[same].mean() > similarity[~same].mean() + 0.5

    def test_a_linear_model_learns_from_the_embeddings(self):
        (X, Y), (X_test, Y_test) = shops(2000, 0), shops(2000, 1)
        pipeline = make_pipeline(DenoisingEmbedder(embedding_dim=4, n_epochs=5, random_state=0), LogisticRegression())
        assert pipeline.fit(X, Y["click"]).score(X_test, Y_test["click"]) > 0.75

    def test_names_and_set_output(self, frame):
        X, _ = frame
        embedder = DenoisingEmbedder(embedding_dim=2, n_epochs=1, numeric_bins=4).set_output(transform="pandas")
        out = embedder.fit_transform(X)
        assert list(out.columns[:2]) == ["user_0", "user_1"]
        assert list(out.columns[-4:]) == ["visits_bin_0", "visits_bin_1", "price", "visits"]
        assert out.dtypes.eq(np.float32).all()

    @pytest.mark.parametrize(
        ("names", "duplicate"), [({"city": "price_bin"}, "price_bin_0"), ({"price": "city_1"}, "city_1")], ids=str
    )
    def test_two_columns_with_the_same_name_are_refused(self, frame, names, duplicate):
        with pytest.raises(ValueError, match=f"The result would have 2 columns named '{duplicate}'. Rename"):
            DenoisingEmbedder(embedding_dim=2, n_epochs=1).fit(frame[0].rename(columns=names))

    def test_unknown_values_get_the_unknown_row(self, frame):
        X, _ = frame
        embedder = DenoisingEmbedder(embedding_dim=2, n_epochs=1).fit(X)
        row = embedder.transform(X[:1].assign(city="Atlantis"))
        np.testing.assert_array_equal(row[0, 2:4], embedder.embeddings_[embedder._encoder.offsets[1]])
