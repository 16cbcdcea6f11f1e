"""The rules that balance tasks, compared with gradients computed by hand."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Freezer
from torch import nn

from sklearn_fsmd import FSClassifier, MultiTaskClassifier
from sklearn_fsmd.network.embedding import Columns, Embedding
from sklearn_fsmd.network.extractors import MMoE
from sklearn_fsmd.network.links import TreeLink
from sklearn_fsmd.network.losses import MultiTaskLoss
from sklearn_fsmd.network.member import Towers
from sklearn_fsmd.network.multitask_network import MultiTaskNetwork
from sklearn_fsmd.training.task_balancing import RULES, Fixed, GradNorm, PCGrad, Uncertainty, surgery
from tests.conftest import SMALL, make_frame


def projected_gradient(gradients, orders):
    """Algorithm 1 of the PCGrad paper on vectors."""
    total = np.zeros_like(gradients[0])
    for i, order in enumerate(orders):
        g = gradients[i].copy()
        for j in order:
            if j != i and g @ gradients[j] < 0:
                g -= (g @ gradients[j]) / (gradients[j] @ gradients[j]) * gradients[j]
        total += g
    return total


def test_surgery_of_two_vectors():
    gradients = np.array([[1.0, 0.0], [-1.0, 1.0]])
    coefficients = surgery(gradients @ gradients.T, range)
    np.testing.assert_allclose(coefficients @ gradients, [0.5, 1.5])


def test_surgery_leaves_agreeing_gradients_alone():
    gradients = np.array([[1.0, 0.0], [1.0, 1.0]])
    np.testing.assert_array_equal(surgery(gradients @ gradients.T, range), [1, 1])


def test_surgery_of_several_tasks(rng):
    for _ in range(20):
        gradients = rng.normal(size=(4, 5))
        orders = [rng.permutation(4) for _ in range(4)]
        remaining = iter(orders)
        coefficients = surgery(gradients @ gradients.T, lambda n, remaining=remaining: next(remaining))
        np.testing.assert_allclose(coefficients @ gradients, projected_gradient(gradients, orders))


def test_surgery_skips_a_task_without_a_gradient():
    gradients = np.array([[1.0, 0.0], [0.0, 0.0]])
    np.testing.assert_array_equal(surgery(gradients @ gradients.T, range) @ gradients, [1, 0])


def network(n_tasks, sparse=False):
    torch.manual_seed(1)
    embedding = Embedding(Columns([5, 7], 1), dim=3, std=1.0)
    extractor = MMoE(7, n_tasks, (6,), n_experts=2, gate_dims=(), dropout=0.0, batch_norm=False)
    towers = Towers(n_tasks, 6, (4,), dropout=0.0, batch_norm=False)
    module = MultiTaskNetwork(
        embedding=embedding,
        low_order=None,
        extractor=extractor,
        towers=towers,
        link=TreeLink((None, *range(n_tasks - 1))),
    )
    module.use_sparse_gradients(sparse)
    return module


def batch(n_tasks, n=40, seed=0):
    random = np.random.RandomState(seed)
    codes = np.stack((random.randint(5, size=n), 5 + random.randint(7, size=n)), axis=1)
    labels = np.cumprod(random.randint(2, size=(n, n_tasks)), axis=1)
    weights = random.randint(3, size=(n, n_tasks))
    return [torch.from_numpy(a) for a in (codes, random.normal(size=(n, 1)).astype(np.float32))], (
        torch.tensor(labels, dtype=torch.float32),
        torch.tensor(weights, dtype=torch.float32),
    )


def losses_of(net, inputs, targets, n_tasks):
    return MultiTaskLoss(net.link, torch.ones(n_tasks)).per_task(net(*inputs), *targets)[0]


def flat_gradients(net, losses):
    parameters = list(net.parameters())
    rows = []
    for loss in losses:
        found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        rows.append(
            torch.cat(
                [
                    (torch.zeros_like(p) if g is None else g.to_dense()).flatten()
                    for p, g in zip(parameters, found, strict=True)
                ]
            )
        )
    return torch.stack(rows).double().numpy()


def flat_result(net):
    return torch.cat(
        [(torch.zeros_like(p) if p.grad is None else p.grad.to_dense()).flatten() for p in net.parameters()]
    )


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("n_tasks", [1, 2, 3])
def test_pcgrad_sets_the_projected_gradients(n_tasks, sparse):
    inputs, targets = batch(n_tasks)
    net = network(n_tasks, sparse)
    by_task = flat_gradients(net, losses_of(net, inputs, targets, n_tasks))
    random = np.random.RandomState(0)
    expected = projected_gradient(by_task, [random.permutation(n_tasks) for _ in range(n_tasks)])
    rule = PCGrad(torch.ones(n_tasks))
    rule.backward(net, losses_of(net, inputs, targets, n_tasks), torch.ones(n_tasks))
    np.testing.assert_allclose(flat_result(net), expected, atol=1e-6)


def test_pcgrad_conflicts_with_neither_of_two_tasks():
    """The plain sum of the gradients conflicts with the gradient of one task; the step of PCGrad does not."""
    net, (inputs, (labels, weights)) = network(2), batch(2)
    opposed = (torch.stack((labels[:, 0], 1 - labels[:, 0]), dim=1), weights)
    net.link = TreeLink((None, None))
    with torch.no_grad():  # equal towers and gates, so that only the labels differ
        for name, parameter in net.named_parameters():
            if name.startswith("towers") or ".gates." in name:
                parameter[1] = parameter[0]
    unequal = torch.tensor([1.0, 100.0])
    by_task = flat_gradients(net, losses_of(net, inputs, opposed, 2) * unequal)
    rule = PCGrad(torch.ones(2))
    rule.backward(net, losses_of(net, inputs, opposed, 2) * unequal, torch.ones(2))
    assert (by_task @ by_task.sum(axis=0)).min() < 0
    assert (by_task @ flat_result(net).double().numpy()).min() > -1e-6
    assert rule.summary(["a", "b"]) == {"conflicting_steps": 1.0}


def test_uncertainty_equals_the_formula():
    net, (inputs, targets) = network(2), batch(2)
    losses = losses_of(net, inputs, targets, 2)
    by_task = flat_gradients(net, losses)
    rule = Uncertainty(torch.ones(2))
    with torch.no_grad():
        rule.log_variances.copy_(torch.tensor([0.5, -1.0]))
    rule.backward(net, losses, torch.tensor([0.25, 1.0]))
    weights = np.exp([-0.5, 1.0])
    np.testing.assert_allclose(flat_result(net), weights @ by_task, atol=1e-6)
    by_hand = -weights * losses.detach().numpy() + 0.5 * np.array([0.25, 1.0])
    np.testing.assert_allclose(rule.log_variances.grad, by_hand, rtol=1e-5)
    assert rule.summary(["a", "b"]) == pytest.approx({"task_weight_a": weights[0], "task_weight_b": weights[1]})


def test_gradnorm_equals_the_formula():
    net, (inputs, targets) = network(2), batch(2)
    rule = GradNorm(torch.ones(2))
    rule.first_losses, rule.n_first = np.array([2.0, 0.5]), np.array([10, 10])
    with rule.watching(net):
        losses = losses_of(net, inputs, targets, 2)
        norms = np.array([torch.autograd.grad(loss, rule.shared, retain_graph=True)[0].norm() for loss in losses])
        by_task = flat_gradients(net, losses)
        rule.backward(net, losses, torch.ones(2))
    pace = losses.detach().numpy() / [2.0, 0.5]
    target = norms.mean() * (pace / pace.mean()) ** 1.5
    weights = np.exp(-0.025 * (norms - target) / norms.mean())
    weights *= 2 / weights.sum()
    np.testing.assert_allclose(rule.weights, weights, rtol=1e-6)
    np.testing.assert_allclose(flat_result(net), weights @ by_task, atol=1e-6)


def test_gradnorm_balances_the_gradient_norms():
    """One of two tasks has tenfold loss and gradients; the weights compensate for that."""
    rule = GradNorm(torch.ones(2))
    for _ in range(2000):
        rule._update(np.array([10.0, 1.0]), np.array([10.0, 1.0]))
    np.testing.assert_allclose(rule.weights, [2 / 11, 20 / 11], rtol=1e-3)


@pytest.mark.parametrize("name", [name for name in RULES if name != "fixed"])
def test_a_task_without_labels_in_the_batch_is_ignored(name):
    net, (inputs, (labels, weights)) = network(2), batch(2)
    net.link = TreeLink((None, None))
    weights = weights * torch.tensor([1.0, 0.0])
    rule = RULES[name](torch.ones(2))
    with rule.watching(net):
        losses = losses_of(net, inputs, (labels, weights), 2)
        alone = flat_gradients(net, losses)[0]
        rule.backward(net, losses, weights.mean(dim=0))
    np.testing.assert_allclose(flat_result(net), alone, atol=1e-6)
    if name == "uncertainty":
        assert rule.log_variances.grad[1] == 0
    if name == "gradnorm":
        assert np.isnan(rule.first_losses[1])


def test_gradnorm_keeps_the_weight_of_a_task_without_labels():
    rule = GradNorm(torch.ones(3))
    for losses in ([2.0, 1.0, 0.0], [1.0, 3.0, 0.0]) * 11:
        rule._update(np.array(losses), np.array([1.0, 3.0, 0.0]))
    assert rule.weights[2] == 1
    assert rule.weights[:2].sum() == pytest.approx(2)
    assert rule.weights[0] != rule.weights[1]


def test_gradnorm_averages_the_first_losses_over_several_batches():
    """A batch may have very few labels of a task. Weights stay at 1 until there have been enough batches."""
    rule, random = GradNorm(torch.ones(2)), np.random.RandomState(0)
    for _ in range(rule.N_FIRST):
        rule._update(np.array([1.0, random.exponential()]), np.array([1.0, 3.0]))
        assert rule.weights.tolist() == [1.0, 1.0]
    assert rule.first_losses == pytest.approx([1.0, np.random.RandomState(0).exponential(size=rule.N_FIRST).mean()])
    rule._update(np.array([1.0, 1.0]), np.array([1.0, 3.0]))
    assert rule.weights[0] > rule.weights[1]


def test_gradnorm_keeps_its_weights_if_all_shared_layers_are_frozen(frame):
    X, Y = frame
    frozen = Freezer(["embedding*", "extractor*", "low_order*"])
    model = FSClassifier(**SMALL, task_weighting="gradnorm", callbacks=[frozen]).fit(X, Y)
    assert model.history_[-1]["task_weight_click"] == 1


def test_gradnorm_does_not_keep_the_graph():
    net, rule = network(2), GradNorm(torch.ones(2))
    with rule.watching(net):
        rule.backward(net, losses_of(net, *batch(2), 2), torch.ones(2))
    assert not hasattr(rule, "shared")
    assert not net.towers._forward_pre_hooks


def test_fixed_is_the_plain_sum():
    net, (inputs, targets) = network(2), batch(2)
    losses = losses_of(net, inputs, targets, 2)
    by_task = flat_gradients(net, losses)
    Fixed(torch.ones(2)).backward(net, losses, torch.ones(2))
    np.testing.assert_allclose(flat_result(net), by_task.sum(axis=0), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "key"),
    [("uncertainty", "task_weight_click"), ("gradnorm", "task_weight_conversion"), ("pcgrad", "conflicting_steps")],
)
def test_rules_in_an_estimator(name, key):
    X, Y = make_frame(400)
    Y["conversion"] = 1 - Y["click"]
    fixed = FSClassifier(**SMALL).fit(X, Y)
    model = FSClassifier(**SMALL, task_weighting=name).fit(X, Y)
    assert all(key in epoch for epoch in model.history_)
    assert key not in fixed.history_[0]
    assert not np.allclose(model.predict_marginals(X), fixed.predict_marginals(X), atol=1e-6)
    again = FSClassifier(**SMALL, task_weighting=name).fit(X, Y)
    np.testing.assert_array_equal(again.predict_marginals(X), model.predict_marginals(X))


def test_the_order_of_projections_depends_on_the_seed():
    X, Y = make_frame(200)
    params = SMALL | {"task_weighting": "pcgrad", "max_epochs": 1}
    models = [FSClassifier(**params | {"random_state": seed}).fit(X, Y) for seed in (0, 1)]
    orders = [model.net_.balance.random.permutation(20).tolist() for model in models]
    assert orders[0] != orders[1]


def test_uncertainty_gives_more_weight_to_the_task_with_less_noise():
    """At the optimum the weight of a task is 1 / (2 L_k)."""
    random = np.random.RandomState(0)
    X = random.normal(size=(2000, 3))
    clean = (X[:, 0] > 0).astype(int)
    noise = random.randint(2, size=2000)
    model = MultiTaskClassifier(
        **{**SMALL, "max_epochs": 20}, link="independent", task_weighting="uncertainty", early_stopping=False, lr=0.01
    ).fit(X, np.stack((clean, noise), axis=1))
    first, last = ([epoch[f"task_weight_{k}"] for k in ("click", "conversion")] for epoch in model.history_[::19])
    assert last[0] > 2 > last[1] > 0.5
    assert last[0] > first[0]


@pytest.mark.parametrize("name", ["uncertainty", "pcgrad", "gradnorm"])
def test_rules_handle_five_tasks_with_masked_labels_and_sparse_tables(name):
    X, _ = make_frame(300)
    random = np.random.RandomState(0)
    Y = random.randint(2, size=(300, 5)).astype(float)
    Y[random.uniform(size=Y.shape) < 0.3] = np.nan
    model = MultiTaskClassifier(
        **SMALL, link="independent", task_weighting=name, embedding_optimizer="sparse", optimizer="adam"
    ).fit(X, Y)
    assert np.isfinite(model.predict_marginals(X)).all()
    assert isinstance(model.module_, nn.Module)


@pytest.mark.parametrize("name", list(RULES))
def test_rules_respect_the_task_weights_of_the_user(name):
    net, (inputs, targets) = network(2), batch(2)
    gradients = {}
    for weights in ([1.0, 1.0], [5.0, 1.0], [1.0, 0.0]):
        rule = RULES[name](torch.tensor(weights))
        for _ in range(50):
            net.zero_grad()
            with rule.watching(net):
                losses = losses_of(net, inputs, targets, 2)
                by_task = flat_gradients(net, losses)
                rule.backward(net, losses, torch.ones(2))
        shares, *_ = np.linalg.lstsq(by_task.T, flat_result(net).double().numpy(), rcond=None)
        gradients[tuple(weights)] = shares
    ratio = {weights: shares[0] / max(abs(shares[1]), 1e-6) for weights, shares in gradients.items()}
    assert ratio[5.0, 1.0] == pytest.approx(5 * ratio[1.0, 1.0], rel=0.01)
    assert ratio[1.0, 0.0] > 1e4


def test_the_pace_of_gradnorm_is_per_observed_label():
    """Two tasks have equal losses per label, and one has few labels. Their losses differ, and their paces do not."""
    net, (inputs, (labels, _)) = network(2), batch(2)
    net.link = TreeLink((None, None))
    same = torch.stack((labels[:, 0], labels[:, 0]), dim=1)
    rule = GradNorm(torch.ones(2))
    for share in (0.2, 0.5):
        weights = torch.ones(40, 2)
        weights[int(40 * share) :, 1] = 0.0
        with rule.watching(net):
            rule.backward(net, losses_of(net, inputs, (same, weights), 2), weights.mean(dim=0))
        by_label, _ = MultiTaskLoss(net.link, torch.ones(2)).per_task(
            net(*inputs)[: int(40 * share)], same[: int(40 * share)]
        )
        if share == 0.2:
            assert rule.first_losses[1] == pytest.approx(by_label[1].item(), rel=1e-4)


@pytest.mark.parametrize(("name", "attribute"), [("uncertainty", "log_variances"), ("gradnorm", "first_losses")])
def test_a_warm_start_keeps_the_state_of_the_rule(name, attribute):
    X, Y = make_frame(300)
    model = FSClassifier(**SMALL, task_weighting=name, warm_start=True).fit(X, Y)
    before = torch.as_tensor(getattr(model.net_.balance, attribute)).detach().clone()
    model.set_params(lr=1e-9, max_epochs=1).fit(X, Y)
    assert (before != 0).all()
    torch.testing.assert_close(
        torch.as_tensor(getattr(model.net_.balance, attribute)).detach(), before, atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("weights", [(1, 1e-24), (1e-24, 1), (1e15, 1e-15), (1, 1e-45)])
def test_surgery_of_tasks_with_tiny_weights(weights):
    """The square of such a weight is 0 in float32, and the projection divides by this square."""
    net, (inputs, targets) = network(2), batch(2)
    rule = PCGrad(torch.tensor(weights))
    losses = losses_of(net, inputs, targets, 2)
    losses = torch.stack((losses[0], losses[1] - 2 * losses[0]))  # they conflict
    by_task = flat_gradients(net, losses).astype(np.float64) * np.float32(weights).astype(np.float64)[:, None]
    rule.backward(net, losses, torch.ones(2))
    orders = [[0, 1], [0, 1]]
    np.testing.assert_allclose(
        flat_result(net), projected_gradient(by_task, orders), rtol=1e-3, atol=1e-6 * max(weights)
    )
