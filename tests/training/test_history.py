"""The history of a fit, its use by callbacks of skorch and other libraries, and validation metrics."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from skorch.callbacks import Callback, Checkpoint, EpochScoring, MlflowLogger, PrintLog, TensorBoard
from skorch.callbacks import EarlyStopping as SkorchEarlyStopping

from sklearn_fsmd import (
    DeepFMClassifier,
    FSMDClassifier,
    MultiTaskClassifier,
    SingleTaskClassifier,
    WideDeepClassifier,
)
from sklearn_fsmd.metrics import cvr_auc, get_scorer, mean_auc
from sklearn_fsmd.training import TensorData
from sklearn_fsmd.training.validation_metric import rare_targets
from tests.conftest import SMALL, make_frame, supported


@pytest.fixture(scope="module")
def data():
    X, Y = make_frame(600)
    X_val, Y_val = make_frame(300, seed=1)
    return X, Y, X_val, Y_val


def fit(data, *callbacks, cls=FSMDClassifier, **params):
    X, Y, X_val, Y_val = data
    return cls(**SMALL | {"callbacks": list(callbacks)} | params).fit(X, Y, X_val=X_val, Y_val=Y_val)


class ValidationChecks(Callback):
    """The scores of every validation check."""

    def on_train_begin(self, net, **kwargs):
        self.epochs, evaluate = [], net.evaluate

        def watched(valid):
            check = evaluate(valid)
            self.epochs[-1].append((check.auc.mean(), check.losses.sum(), *check.auc, *check.losses))
            return check

        net.evaluate = watched

    def on_epoch_begin(self, net, **kwargs):
        self.epochs.append([])


@pytest.mark.parametrize("params", [{}, {"task_weighting": "gradnorm"}, {"task_weighting": "pcgrad"}], ids=str)
def test_the_history_of_an_epoch_has_the_scores_of_its_best_check(params, data):
    checks = ValidationChecks()
    model = fit(data, checks, **params)
    assert model.history_ == model.net_.epochs()
    best = -np.inf
    for number, (row, seen) in enumerate(zip(model.history_, checks.epochs, strict=True), start=1):
        assert row["epoch"] == number
        assert {type(value) for name, value in row.items() if name != "epoch"} == {float}
        assert len(seen) == 2
        mean, loss, click, conversion, *_ = max(seen)
        found = [row[name] for name in ("valid_auc", "valid_loss", "valid_auc_click", "valid_auc_conversion")]
        assert found == pytest.approx([mean, loss, click, conversion])
        assert row["valid_best"] == float(mean > best)
        best = max(best, mean)


def test_works_with_early_stopping_of_skorch(data):
    stopping = SkorchEarlyStopping(monitor="valid_auc", lower_is_better=False, patience=2, sink=lambda text: None)
    model = fit(data, stopping, max_epochs=30, lr=0.05, early_stopping=False)
    auc = [row["valid_auc"] for row in model.history_]
    assert len(auc) < 30
    assert max(auc[-2:]) <= max(auc[:-2]) + 1e-4


@pytest.mark.parametrize("on_train", [False, True])
def test_works_with_epoch_scoring_of_skorch(on_train, data):
    def own_scoring(net, X, y):
        assert y.shape == (len(X), 2)
        return mean_auc(y, net.predict_proba(X))

    class ScoringCallback(Callback):
        def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
            rows = dataset_train if on_train else dataset_valid
            self.last = roc_auc_score(rows.y, net.predict_proba(rows))

    scoring, name = ScoringCallback(), "train_mean" if on_train else "valid_mean"
    model = fit(
        data,
        EpochScoring(own_scoring, lower_is_better=False, on_train=on_train, name=name),
        EpochScoring(get_scorer("mean_auc"), lower_is_better=False, on_train=on_train, name=f"{name}_scorer"),
        EpochScoring("roc_auc", lower_is_better=False, on_train=on_train, name=f"{name}_sklearn"),
        scoring,
    )
    row = model.history_[-1]
    assert row[name] == row[f"{name}_scorer"] == pytest.approx(row[f"{name}_sklearn"]) == pytest.approx(scoring.last)
    if not on_train:  # scores are of the end of an epoch, and the history has its best check
        assert max(row[name] for row in model.history_) <= max(row["valid_auc"] for row in model.history_) + 1e-9
    plain = fit(data)  # scoring has not changed the training
    np.testing.assert_array_equal(model.predict_marginals(data[0]), plain.predict_marginals(data[0]))


def test_works_with_the_printed_table_of_skorch(data):
    lines = []
    model = fit(data, PrintLog(sink=lines.append))
    header, _, *rows = "\n".join(lines).split("\n")
    assert {"valid_auc", "valid_auc_click", "valid_auc_conversion", "train_loss"} <= set(header.split())
    assert len(rows) == model.n_iter_


def test_works_with_tensorboard(data, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer:
        model = fit(data, TensorBoard(writer))
    events = EventAccumulator(str(tmp_path)).Reload()
    for name in ("train_loss", "valid_loss", "valid_auc", "valid_auc_conversion"):
        (tag,) = (tag for tag in events.Tags()["scalars"] if tag.split("/")[-1] == name or tag == name)
        logged = [event.value for event in events.Scalars(tag)]
        assert logged == pytest.approx([row[name] for row in model.history_], rel=1e-5)


@pytest.mark.filterwarnings("ignore")  # warnings of the database of MLflow
def test_works_with_mlflow(data, tmp_path):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    run = client.create_run(client.create_experiment("fits", artifact_location=str(tmp_path)))
    logger = MlflowLogger(run, client, log_on_batch_end=False, log_on_epoch_end=True, create_artifact=False)
    model = fit(data, logger)
    for name in ("valid_auc", "valid_auc_click", "train_loss"):
        logged = client.get_metric_history(run.info.run_id, name)
        assert [metric.value for metric in logged] == [row[name] for row in model.history_]


def test_works_with_pruning_by_optuna(data):
    import optuna
    from optuna_integration.skorch import SkorchPruningCallback

    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial):
        lr = trial.suggest_categorical("lr", [0.02, 1e-7])
        return fit(data, SkorchPruningCallback(trial, "valid_auc"), lr=lr, max_epochs=4).history_[-1]["valid_auc"]

    sampler = optuna.samplers.GridSampler({"lr": [0.02, 1e-7]}, seed=1)
    study = optuna.create_study(
        direction="maximize", sampler=sampler, pruner=optuna.pruners.ThresholdPruner(lower=0.55, n_warmup_steps=1)
    )
    study.optimize(objective, n_trials=2)
    states = {trial.params["lr"]: trial.state.name for trial in study.trials}
    assert states == {0.02: "COMPLETE", 1e-7: "PRUNED"}


def test_checkpoints_of_skorch_may_monitor_any_score(data, tmp_path):
    for monitor in ("valid_loss_best", "valid_auc_best", "train_loss_best", "valid_best"):
        watch = Checkpoint(dirname=tmp_path / monitor, monitor=monitor, event_name="saved")
        model = fit(data, callbacks=[watch], max_epochs=3)
        written = [row["saved"] for row in model.net_.history]
        name = monitor.removesuffix("_best")
        if name in ("valid_loss", "train_loss", "valid_auc"):
            sign = 1 if name == "valid_auc" else -1
            values = [sign * row[name] for row in model.history_]
            assert written == [value > max(values[:i], default=-np.inf) for i, value in enumerate(values)]
        assert any(written)
        assert not {"valid_loss_best", "valid_auc_best", "train_loss_best"} & set(model.history_[0])


@pytest.mark.parametrize("callback", [Checkpoint(load_best=True), ("custom", Checkpoint(load_best=True))])
def test_load_best_of_a_skorch_checkpoint_is_refused(callback, data):
    with pytest.raises(ValueError, match="load_best=True of a callback would restore the weights of the end"):
        fit(data, callbacks=[callback])


# ------------------------------------------------------------------------------------------------- validation metrics


@pytest.mark.parametrize(
    ("metric", "sign", "name"),
    [
        ("auto", 1, "valid_auc"),
        ("mean_auc", 1, "valid_auc"),
        ("loss", -1, "valid_loss"),
        ("conversion_auc", 1, "valid_auc_conversion"),
        ("conversion_given_click_auc", 1, "valid_auc_conversion_given_click"),
    ],
)
@pytest.mark.usefixtures("without_level")
def test_the_weights_with_the_best_validation_metric_are_kept(metric, sign, name, data):
    model = fit(data, validation_metric=metric, max_epochs=12, lr=0.05, patience=3)
    watched = [sign * row[name] for row in model.history_]
    assert [row["valid_best"] for row in model.history_] == [
        float(value > max(watched[:i], default=-np.inf)) for i, value in enumerate(watched)
    ]
    kept = model.net_.evaluate(_encoded(model, data))
    found = {
        "valid_loss": kept[0].sum(),
        "valid_auc": kept[1].mean(),
        "valid_auc_conversion": kept[1][1],
        "valid_auc_conversion_given_click": kept[2][1],
    }
    assert sign * found[name] == pytest.approx(max(watched))
    X_val, Y_val = data[2:]
    assert kept[2][1] == pytest.approx(cvr_auc(Y_val, model.predict_marginals(X_val)), abs=1e-6)
    assert np.isnan(kept[2][0])


@pytest.mark.parametrize("cls", [FSMDClassifier, SingleTaskClassifier])
def test_the_loss_is_watched_if_a_target_is_rare(cls, data):
    """The AUC of few conversions would choose the weights by chance."""
    X, Y = data[:2]
    X_val, Y_val = make_frame(1200, seed=1)
    happened = np.flatnonzero(Y_val["conversion"])
    assert len(happened) >= 100

    def watched(n_conversions):
        kept = Y_val["conversion"] & ~Y_val.index.isin(happened[n_conversions:])
        valid = {"X_val": X_val, "Y_val": Y_val.assign(conversion=kept.astype(int))}
        options = supported(cls, SMALL) | {"max_epochs": 6, "patience": 6, "lr": 0.05, "random_state": 0}
        models = [
            cls(**options, validation_metric=metric).fit(X, Y, **valid) for metric in ("auto", "loss", "mean_auc")
        ]
        auto, *others = (model.predict_marginals(X_val)[:, 1] for model in models)
        return [name for name, p in zip(("loss", "auc"), others, strict=True) if np.array_equal(p, auto)]

    assert "loss" in watched(99)  # by chance both choose the same weights on some machines
    assert "auc" in watched(100)


def test_which_targets_are_rare():
    """99 labels of one class in 1,000 rows are few; values and targets without them do not count."""
    ones = np.arange(1000)[:, None] < [99, 100, 901, 900, 0, 50]
    labels = torch.from_numpy(ones.astype(np.float32))
    data = TensorData((), labels, None, n_values=1)
    assert rare_targets(data) == [True, False, True, False, False, False]
    assert rare_targets(TensorData((), labels[:999], None, n_values=1)) == [False] * 6
    weights = torch.ones(1000, 6)
    weights[0, 1] = 0
    assert rare_targets(TensorData((), labels, weights, n_values=1)) == [True, True, True, False, False, False]


def _encoded(model, data):
    rows, targets = model._encoder.encode(data[2]), model._targets.encode(data[3], None, (None, 0))
    return TensorData.from_rows(rows, targets, "cpu")


def test_an_invalid_validation_metric_is_refused(data):
    message = r"one of \['auto', .*, 'click_auc', 'conversion_auc', 'conversion_given_click_auc'\]. Got 'share_auc'"
    with pytest.raises(ValueError, match=message):
        fit(data, validation_metric="share_auc")
    X, Y, X_val, Y_val = data
    with pytest.raises(ValueError, match="validation_metric='conversion_auc' needs validation labels of both classes"):
        fit((X, Y, X_val, Y_val.assign(conversion=0)), validation_metric="conversion_auc")
    with pytest.raises(ValueError, match="='conversion_given_click_auc' needs validation labels of both classes"):
        fit((X, Y, X_val, Y_val.assign(click=0, conversion=0)), validation_metric="conversion_given_click_auc")
    with pytest.raises(ValueError, match="Y has a column named 'b_given_click'. In the history, 'valid_auc_b_given_"):
        FSMDClassifier(**SMALL).fit(X, Y.assign(b=Y["click"]).set_axis(["click", "b", "b_given_click"], axis=1))


@pytest.mark.usefixtures("without_level")
def test_validation_on_the_last_rows(data):
    X, Y, *_ = data
    last = MultiTaskClassifier(**SMALL, early_stopping=True, validation="last", validation_fraction=0.25).fit(X, Y)
    given = MultiTaskClassifier(**SMALL, early_stopping=True)
    given.fit(X[:450], Y[:450], X_val=X[450:], Y_val=Y[450:])
    assert last.net_.evaluate(_encoded(last, (0, 0, X[450:], Y[450:])))[1].mean() == pytest.approx(
        max(row["valid_auc"] for row in last.history_)
    )
    assert last.history_[0]["valid_auc"] != given.history_[0]["valid_auc"]  # its encoding knows the first rows only


@pytest.mark.parametrize("cls", [SingleTaskClassifier, WideDeepClassifier, DeepFMClassifier])
@pytest.mark.parametrize("metric", ["auto", "loss"])
def test_tasks_without_shared_weights_each_keep_their_best_weights(cls, metric, data):
    """Each task keeps the weights of its best validation check."""
    X, Y, X_val, Y_val = data
    small = supported(cls, SMALL | {"logistic_regression": False})
    for seed in range(30):
        checks = ValidationChecks()
        params = {"max_epochs": 8, "lr": 0.05, "patience": 8, "validation_metric": metric, "random_state": seed}
        model = cls(**small | params | {"callbacks": [checks]}).fit(X, Y, X_val=X_val, Y_val=Y_val)
        seen = [check for epoch in checks.epochs for check in epoch]
        scores = [[check[2 + k] if metric == "auto" else -check[4 + k] for check in seen] for k in range(2)]
        best = [int(np.argmax(task_scores)) for task_scores in scores]
        if best[0] != best[1]:  # otherwise the test would be pointless
            break
    assert best[0] != best[1]
    found = [roc_auc_score(Y_val.iloc[:, k], model.predict_marginals(X_val)[:, k]) for k in range(2)]
    assert found == pytest.approx([seen[best[k]][2 + k] for k in range(2)])
    if metric == "auto":
        for k, name in enumerate(["click", "conversion"]):
            in_history = [row[f"valid_auc_{name}"] for row in model.history_]
            assert in_history == pytest.approx([max(check[2 + k] for check in epoch) for epoch in checks.epochs])
    alone = cls(**small | params | {"validation_metric": "click_auc"})
    alone.fit(X, Y, X_val=X_val, Y_val=Y_val)
    by_click = roc_auc_score(Y_val["click"], alone.predict_marginals(X_val)[:, 0])
    assert by_click == pytest.approx(max(row["valid_auc_click"] for row in alone.history_))


@pytest.mark.usefixtures("without_level")
def test_tasks_with_shared_weights_keep_one_best_state(data):
    X, Y, X_val, Y_val = data
    model = MultiTaskClassifier(**SMALL | {"max_epochs": 8, "lr": 0.05}, extractor="separate", link="chain")
    model.fit(X, Y, X_val=X_val, Y_val=Y_val)
    means = [row["valid_auc"] for row in model.history_]
    assert model.score(X_val, Y_val) == pytest.approx(max(means))


@pytest.mark.filterwarnings("ignore:'.*' has one class in the validation rows and two in the training rows")
def test_a_task_without_auc_is_evaluated_by_its_loss(data):
    X, Y, X_val, Y_val = data
    params = supported(SingleTaskClassifier, SMALL) | {"validation_metric": "mean_auc", "max_epochs": 2}
    model = SingleTaskClassifier(**params).fit(X, Y, X_val=X_val, Y_val=Y_val.assign(conversion=0))
    assert np.isnan(model.history_[-1]["valid_auc_conversion"])
    with pytest.raises(ValueError, match="validation_metric='mean_auc' needs validation labels of both classes"):
        SingleTaskClassifier(**params).fit(X, Y, X_val=X_val, Y_val=Y_val * 0)
