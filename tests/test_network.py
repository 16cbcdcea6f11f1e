"""The whole network: compared with the paper, in limiting cases, and with sizes that are all different."""

import functools

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_fsmd.network.builders import Columns, build_network
from sklearn_fsmd.network.denoising_autoencoder import Learned
from sklearn_fsmd.network.embedding import STARTING_RMS
from sklearn_fsmd.network.extractors import SharedBottom
from sklearn_fsmd.network.links import parents_of
from sklearn_fsmd.network.losses import MultiTaskLoss
from sklearn_fsmd.network.stacked_mlp import HiddenLayer
from sklearn_fsmd.parameters.network import NetworkParameters

CARDINALITIES, N_NUMERIC = [3, 5, 4], 2
CODES = torch.tensor([[0, 3, 8], [2, 7, 11], [1, 4, 9], [2, 3, 10]])
NUMBERS = torch.tensor([[0.5, 1.0], [-1.0, 0.0], [0.3, -0.2], [2.0, 0.7]])


def params(**changes):
    given = {
        "low_order": "fm",
        "extractor": "ple",
        "link": "chain",
        "embedding_dim": 3,
        "embedding_std": 1.0,
        "expert_dims": (6, 4),
        "n_experts": 3,
        "n_task_experts": 1,
        "n_shared_experts": 2,
        "n_levels": 2,
        "gate_dims": (5,),
        "tower_dims": (7,),
        "dropout": 0.0,
        "batch_norm": False,
    }
    return NetworkParameters(**{**given, **changes})


def build(n_tasks=2, **changes):
    return build_network(params(**changes), Columns(CARDINALITIES, N_NUMERIC), n_tasks)


EXTRACTORS = ["ple", "mmoe", "shared_bottom", "shared_embedding", "separate"]


@pytest.mark.parametrize("n_tasks", [1, 2, 3, 5])
@pytest.mark.parametrize("extractor", EXTRACTORS)
@pytest.mark.parametrize("low_order", ["fm", "fwfm", "linear", None])
@pytest.mark.parametrize("link", ["chain", "independent"])
def test_every_combination_accepts_one_row_and_any_number_of_tasks(n_tasks, extractor, low_order, link):
    network = build(n_tasks, extractor=extractor, low_order=low_order, link=link, batch_norm=True, dropout=0.2)
    assert network(CODES[:1], NUMBERS[:1]).shape == (1, n_tasks)
    logits = network.eval()(CODES, NUMBERS)
    assert logits.shape == (4, n_tasks)
    rows = torch.cat([network(CODES[i : i + 1], NUMBERS[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(logits, rows)  # a row's logits do not depend on its batch


def test_logits_are_the_sum_of_equation_1():
    network = build(3, low_order="fm")
    x = network.embedding(CODES, NUMBERS)
    deep = network.towers(network.extractor(x.flat()))
    torch.testing.assert_close(network(CODES, NUMBERS), deep + network.low_order(x))
    assert network.low_order(x).shape == (4, 1)


def test_towers_are_separate():
    network = build(3, low_order=None, extractor="separate")
    network(CODES, NUMBERS)[:, 1].sum().backward()
    weight = network.towers.output.weight.grad  # (K, I, 1)
    assert (weight[[0, 2]] == 0).all()
    assert weight[1].abs().sum() > 0


def test_single_task_networks_share_nothing():
    network = build(2, low_order="fm", extractor="separate")
    network(CODES, NUMBERS)[:, 0].sum().backward()
    table = network.embedding.table.weight.grad.view(-1, 2, 3)  # (rows, K, D)
    assert table[:, 0].abs().sum() > 0
    assert (table[:, 1] == 0).all()
    assert (network.low_order.linear.categories.weight.grad[:, 1] == 0).all()


def test_esmm_shares_only_the_embeddings():
    network = build(2, low_order=None, extractor="shared_embedding")
    assert network.embedding.table.weight.shape == (12, 3)
    network(CODES, NUMBERS)[:, 0].sum().backward()
    assert (network.extractor.bottoms.layers[0].weight.grad[1] == 0).all()


@pytest.mark.parametrize("extractor", EXTRACTORS)
@pytest.mark.parametrize("link", ["chain", (None, 0, 0), "independent"])
def test_gradients(extractor, link):
    network = build(3, extractor=extractor, link=link).double()
    loss = MultiTaskLoss(network.link, torch.ones(3)).double()
    labels = torch.tensor([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]]).double()
    table = network.embedding.table.weight.detach().clone().requires_grad_()

    def loss_of(table):
        logits = torch.func.functional_call(network, {"embedding.table.weight": table}, (CODES, NUMBERS.double()))
        return loss(logits, labels)

    assert torch.autograd.gradcheck(loss_of, (table,))


def test_the_network_starts_at_the_base_rates():
    network = build(2, embedding_std=0.0, low_order="fm")
    network.init_from_base_rates(torch.tensor([0.3, 1 / 3]))
    rates = torch.tensor([0.3, 0.1])
    for parameter in (
        network.towers.output.weight,
        network.low_order.vectors,
        network.low_order.linear.categories.weight,
    ):
        nn.init.zeros_(parameter)
    torch.testing.assert_close(network.link.marginals(network(CODES, NUMBERS)), rates.expand(4, 2))


def test_biases_and_batch_norm_do_not_decay():
    network = build(2, batch_norm=True)
    decayed, kept = network.parameter_groups()
    assert kept["weight_decay"] == 0.0
    assert "weight_decay" not in decayed
    kept = {id(p) for p in kept["params"]}
    for name, parameter in network.named_parameters():
        is_norm = name.endswith("scale")
        assert (id(parameter) in kept) == (name.endswith("bias") or is_norm)
    assert len(decayed["params"]) + len(kept) == len(list(network.parameters()))


def test_scales_of_torch_normalisation_layers_do_not_decay():
    part = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.BatchNorm1d(4), nn.GRU(4, 5), nn.MultiheadAttention(4, 2))
    network = build(2)
    network.extractor = part
    decayed, _ = network.parameter_groups()
    decayed = {id(p) for p in decayed["params"]}
    names = {name for name, parameter in part.named_parameters() if id(parameter) in decayed}
    assert names == {"0.weight", "3.weight_ih_l0", "3.weight_hh_l0", "4.in_proj_weight", "4.out_proj.weight"}


class CustomExtractor(nn.Module):
    """A custom extractor with a linear layer per task."""

    def __init__(self, in_features, n_tasks, width=6, as_sequence=False):
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(in_features, width) for _ in range(n_tasks))
        self.as_sequence = as_sequence

    def forward(self, x):
        out = [linear(x) for linear in self.maps]
        return out if self.as_sequence else torch.stack(out, dim=1)


@pytest.mark.parametrize("as_sequence", [False, True])
@pytest.mark.parametrize("as_instance", [False, True])
def test_custom_extractors(as_sequence, as_instance):
    make = functools.partial(CustomExtractor, as_sequence=as_sequence)
    part = make(3 * 3 + 2, 2) if as_instance else make
    network = build(2, extractor=part)
    assert network(CODES, NUMBERS).shape == (4, 2)
    assert network.extractor is not part


def test_an_extractor_of_the_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"one representation per task, \(3, 2, H\). Got the shape \(3, 11\)"):
        build(2, extractor=nn.Identity())


@pytest.mark.parametrize(
    ("link", "n_tasks", "parents"),
    [
        ("chain", 3, (None, 0, 1)),
        ("chain", 1, (None,)),
        ("independent", 3, (None, None, None)),
        ((None, 0, 0, 1), 4, (None, 0, 0, 1)),
        ([None, 0], 2, (None, 0)),
        ([None, np.int64(0)], 2, (None, 0)),
    ],
)
def test_parents(link, n_tasks, parents):
    found = parents_of(link, n_tasks)
    assert found == parents
    assert {type(parent) for parent in found} <= {int, type(None)}  # types that JSON can store


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ((None, 0, 0), "parents of 3 tasks, but Y has 2"),
        ((0, None), "parent of task 0 in 'link' must be None. Got 0 in"),
        ((None, 1), "Got 1 in"),
        ((None, "click"), "Got 'click' in"),
        ("tree", "must be 'chain', 'independent' or a tuple of parents. Got 'tree'"),
    ],
)
def test_invalid_links_are_refused(link, message):
    with pytest.raises(ValueError, match=message):
        parents_of(link, 2)


def learned(inputs, n_embedded, width=6, batch_norm=False):
    """A possible result of an autoencoder for the columns of the `inputs` of the network."""
    vectors = torch.randn(sum(CARDINALITIES), 3)
    layer = HiddenLayer(1, len(inputs), width, batch_norm=batch_norm)
    nn.init.normal_(layer.bias)
    if batch_norm:
        nn.init.normal_(layer.running_mean)
        nn.init.uniform_(layer.running_var, 0.5, 2.0)
    return Learned(vectors, layer, torch.tensor(inputs), n_embedded)


ALL_INPUTS = list(range(len(CARDINALITIES) * 3 + N_NUMERIC))


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_first_layers_start_with_the_outputs_of_the_autoencoder(extractor, batch_norm):
    network = build(extractor=extractor, batch_norm=batch_norm).eval()
    found = learned(ALL_INPUTS, 9, batch_norm=batch_norm)
    network.start_from(found)
    row = torch.cat((found.vectors[CODES].flatten(1), NUMBERS), dim=1)
    outputs = network.first_layers[0](network.embedding(CODES, NUMBERS).flat().transpose(0, -2))
    assert len(network.embedding.table.weight) == len(found.vectors)
    assert network.embedding.table.weight.square().mean().sqrt().item() == pytest.approx(STARTING_RMS, rel=1e-4)
    for part in outputs:
        torch.testing.assert_close(part, found.layer.eval()(row)[0], atol=1e-5, rtol=1e-5)


def test_columns_without_pretraining_keep_their_initial_weights():
    network, plain = build(), build()
    plain.load_state_dict(network.state_dict())
    found = learned([3, 4, 5, 10], 3)  # the second code column and the second number
    found.vectors[:3] = found.vectors[8:] = torch.nan
    network.start_from(found)
    (before, after), others = (n.first_layers[0].weight for n in (plain, network)), [0, 1, 2, 6, 7, 8, 9]
    assert torch.equal(before[:, others], after[:, others])
    assert torch.equal(after[:, 10], found.layer.weight[:, 3].expand_as(after[:, 10]))
    assert (before != after).all(dim=(0, 2)).tolist() == [i not in others for i in range(11)]
    assert torch.equal(network.embedding.table.weight[8:], plain.embedding.table.weight[8:])


class Derived(SharedBottom):
    """Its first layer gets a projection instead of the embedded row."""

    def __init__(self, in_features, n_tasks):
        super().__init__(4, n_tasks, (6,), dropout=0.0, batch_norm=False)
        self.project = nn.Linear(in_features, 4)

    def forward(self, x):
        return super().forward(self.project(x))


CUSTOM_INSTANCE = SharedBottom(len(ALL_INPUTS), 2, (6,), dropout=0.0, batch_norm=False)


@pytest.mark.parametrize("extractor", ["shared_bottom", CustomExtractor, Derived, CUSTOM_INSTANCE])
def test_without_a_matching_first_layer_only_embeddings_are_changed(extractor):
    network = build(extractor=extractor, expert_dims=())
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert network.first_layers == []
    network.start_from(learned(ALL_INPUTS, 9))
    changed = [name for name, tensor in network.state_dict().items() if not torch.equal(before[name], tensor)]
    assert changed == ["embedding.table.weight"]
