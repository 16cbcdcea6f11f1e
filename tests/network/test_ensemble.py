"""Ensembles of members inside one network."""

import pickle

import numpy as np
import pytest
import torch

from sklearn_fsmd import FSMDClassifier, MultiTaskClassifier, SingleTaskClassifier
from sklearn_fsmd.network.ensemble import logits_of_readers
from sklearn_fsmd.network.links import TreeLink
from sklearn_fsmd.network.member import Member
from tests.conftest import SMALL, make_frame, supported
from tests.test_estimator_checks import CLASSES


@pytest.mark.parametrize("parents", [(None, 0, 1), (None, 0, 0, 1), (None, None), (None,)])
def test_the_mean_of_logits_gives_the_mean_of_the_marginals(parents):
    link = TreeLink(parents)
    logits = torch.randn(4, 50, len(parents), dtype=torch.float64) * 3
    expected = torch.stack([link.marginals(z) for z in logits]).mean(dim=0)
    torch.testing.assert_close(link.marginals(link.mean(logits)), expected)


def test_the_mean_is_finite_at_extreme_logits():
    logits = torch.tensor([[[-200.0, 200.0]], [[200.0, -200.0]]])
    assert torch.isfinite(TreeLink((None, 0)).mean(logits)).all()


@pytest.mark.parametrize(("n", "readers"), [(2, 1), (3, 2), (4, 2), (5, 3), (8, 4)])
@pytest.mark.parametrize("n_rows", [40, 41, 97])
def test_in_training_half_of_the_members_use_a_row(n, readers, n_rows):
    seen_by = [[] for _ in range(n)]

    def member(m):
        def forward(codes, numbers):
            assert torch.equal(codes, numbers.long())
            seen_by[m] += numbers[:, 0].tolist()
            return numbers + 1000.0 * m

        return forward

    members, x = [member(m) for m in range(n)], torch.arange(float(n_rows)).unsqueeze(1)
    logits = logits_of_readers(members, x.long(), x, training=True)
    assert logits.shape == (readers, n_rows, 1)
    assert torch.equal(logits % 1000, x.expand(readers, -1, -1))  # outputs are in the order of the rows
    members_used = (logits // 1000).squeeze(2).long()
    assert all(len(set(column.tolist())) == readers for column in members_used.T)
    sizes = [len(rows) for rows in seen_by]
    assert sum(sizes) == readers * n_rows
    assert max(sizes) - min(sizes) <= readers

    all_logits = logits_of_readers(members, x.long(), x, training=False)
    assert all_logits.shape == (n, n_rows, 1)
    few_logits = logits_of_readers(members, x[:3].long(), x[:3], training=True)
    assert few_logits.shape == (n, 3, 1)


@pytest.mark.parametrize(("n_members", "rows"), [(1, 50), (2, 100), (3, 75), (4, 100)])
def test_each_member_uses_as_many_rows_of_a_batch_as_a_single_model(n_members, rows, monkeypatch):
    calls, logits = [], Member.logits

    def recording(member, codes, *more):
        calls.append((id(member), len(codes)))
        return logits(member, codes, *more)

    monkeypatch.setattr(Member, "logits", recording)
    model = FSMDClassifier(**SMALL | {"batch_size": "auto", "max_epochs": 1, "early_stopping": False})
    model.set_params(n_members=n_members).fit(*make_frame(5000))
    assert calls[0][1] == 50
    assert len({member for member, n in calls[:n_members] if n == 50}) == n_members
    assert model.net_.spec_["fitted_batch_size"] == rows
    assert model.set_params(batch_size=64).fit(*make_frame(5000)).net_.spec_["fitted_batch_size"] == 64


def test_a_prediction_is_the_mean_over_the_members():
    X, Y = make_frame()
    model = FSMDClassifier(**SMALL, n_members=3).fit(X, Y)
    network, expected = model.module_, model.predict_marginals(X)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    by_member = []
    for k in range(3):
        member_state = {name: t for name, t in state.items() if not name.startswith(("more_members.", "slopes"))}
        if k:
            member_state = {name: state[f"more_members.{k - 1}.{name}"] for name in member_state}
        others = {f"more_members.{j}.{name}": t for name, t in member_state.items() for j in range(2)}
        network.load_state_dict(state | member_state | others)
        by_member.append(model.predict_marginals(X))
    np.testing.assert_allclose(np.mean(by_member, axis=0), expected, atol=1e-6)
    assert np.abs(by_member[0] - by_member[1]).max() > 1e-3


@pytest.mark.parametrize("cls", CLASSES)
def test_every_model_supports_members(cls, frame, tmp_path):
    X, Y = frame
    model = cls(**supported(cls, SMALL), n_members=4).fit(X, Y)
    p = model.predict_marginals(X)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(cls.load(tmp_path / "model").predict_marginals(X), p)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_marginals(X), p)
    again = cls(**supported(cls, SMALL), n_members=4).fit(X, Y)
    np.testing.assert_array_equal(again.predict_marginals(X), p)
    if hasattr(model, "gate_weights"):
        np.testing.assert_allclose(model.gate_weights(X).sum(axis=3), 1, rtol=1e-5)


@pytest.mark.parametrize(
    "params",
    [
        {"bias_features": ["visits"]},
        {"task_weighting": "pcgrad"},
        {"task_weighting": "gradnorm"},
        {"task_weighting": "uncertainty"},
        {"chain_loss": "likelihood"},
        {"n_levels": 2, "gate_dims": (8,)},
        {"link": (None, 0), "batch_norm": False},
        {"pretrain_epochs": 1},
        pytest.param(
            {"extractor": lambda n_inputs, n_tasks: _CustomExtractor(n_inputs, n_tasks)}, id="custom extractor"
        ),
    ],
    ids=str,
)
def test_members_can_be_combined_with_other_options(params, frame):
    X, Y = frame
    model = MultiTaskClassifier(**SMALL | {"lr": 0.02}, n_members=4, early_stopping=True, **params).fit(X, Y)
    assert np.isfinite(model.predict_marginals(X)).all()
    assert model.history_[-1]["train_loss"] < model.history_[0]["train_loss"]


class _CustomExtractor(torch.nn.Module):
    def __init__(self, n_inputs, n_tasks):
        super().__init__()
        self.layer = torch.nn.Linear(n_inputs, 4 * n_tasks)
        self.n_tasks = n_tasks

    def forward(self, x):
        return self.layer(x).unflatten(1, (self.n_tasks, 4))


def test_an_invalid_number_of_members_is_refused(frame):
    with pytest.raises(ValueError, match="'n_members' parameter of FSMDClassifier must be an int in the range"):
        FSMDClassifier(n_members=0).fit(*frame)


def test_parts_of_a_task_without_sharing_affect_only_this_task(frame):
    X, Y = frame
    model = SingleTaskClassifier(**supported(SingleTaskClassifier, SMALL), n_members=2).fit(X, Y)
    network, before = model.module_, model.predict_marginals(X)
    for name, tensor in network.state_dict().items():
        with torch.no_grad():
            part = network.part_of_task(name, tensor, 1)
            assert (part is None) == (name == "slopes")  # slopes are set after training
            if part is not None:
                part.add_(torch.rand(1))
    after = model.predict_marginals(X)
    np.testing.assert_array_equal(after[:, 0], before[:, 0])
    assert np.abs(after[:, 1] - before[:, 1]).max() > 1e-3


def test_tables_of_all_members_must_fit_into_memory(frame, monkeypatch):
    params = supported(FSMDClassifier, SMALL)
    monkeypatch.setattr("sklearn_fsmd.training.optimizers.large_tables.memory_of", lambda device: 50_000)
    FSMDClassifier(**params).fit(*frame)
    with pytest.raises(ValueError, match="embedding table of .* rows of 80 numbers needs"):
        FSMDClassifier(**params, n_members=20).fit(*frame)
