"""The denoising autoencoder of pretraining."""

import math

import pytest
import torch

from sklearn_fsmd.network import denoising_autoencoder as denoising
from sklearn_fsmd.network.denoising_autoencoder import DenoisingAutoencoder


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return DenoisingAutoencoder([4, 6, 3], n_numeric=2, dim=5, numeric_of=[None, 0, 1]).eval()


@pytest.fixture
def rows():
    codes = torch.stack([torch.randint(n, (200,), generator=generator(n)) for n in (4, 6, 3)], dim=1)
    return codes + torch.tensor([0, 4, 10]), torch.randn(200, 2, generator=generator())


def test_a_share_of_the_codes_is_swapped_within_its_column(model, rows):
    codes, numbers = rows
    noisy, _ = model.corrupt(codes, numbers, 0.5, generator())
    for f in range(3):
        assert set(noisy[:, f].tolist()) <= set(codes[:, f].tolist())
        differs = (noisy[:, f] != codes[:, f]).float().mean().item()
        same_value = (codes[:, f, None] == codes[:, f]).float().mean().item()
        assert differs == pytest.approx(0.5 * (1 - same_value), abs=0.08)


def test_a_number_is_swapped_with_its_bin(model):
    numbers = torch.arange(200.0)[:, None].repeat(1, 2)
    codes = torch.stack((torch.zeros(200), torch.arange(200), torch.arange(200)), dim=1).long()
    noisy, scattered = model.corrupt(codes, numbers, 0.3, generator())
    for f, j in ((1, 0), (2, 1)):
        swapped = noisy[:, f] != codes[:, f]
        assert 30 < swapped.sum() < 90
        torch.testing.assert_close(scattered[swapped, j], noisy[swapped, f].float(), atol=1.5, rtol=0)
        rest = (scattered[~swapped, j] - numbers[~swapped, j]).std().item()
        assert rest == pytest.approx(0.3, rel=0.3)


def test_small_columns_use_the_full_softmax(model, rows):
    codes, _ = rows
    guesses = torch.randn(200, 3, 5, generator=generator())
    found = model.cross_entropy(guesses, codes, torch.ones_like(codes, dtype=torch.bool), generator())
    for f, (start, n) in enumerate([(0, 4), (4, 6), (10, 3)]):
        span = slice(start, start + n)
        logits = guesses[:, f] @ model.values.weight[span].T + model.value_bias.weight[span, 0]
        expected = torch.nn.functional.cross_entropy(logits, codes[:, f] - start)
        torch.testing.assert_close(found[f], expected)


def test_large_columns_are_sampled_without_bias(monkeypatch):
    monkeypatch.setattr(denoising, "N_CANDIDATES", 50)
    torch.manual_seed(0)
    model = DenoisingAutoencoder([400], n_numeric=0, dim=4)
    codes, guesses = torch.randint(400, (300, 1), generator=generator()), torch.randn(300, 1, 4, generator=generator())
    logits = guesses[:, 0] @ model.values.weight.T + model.value_bias.weight[:, 0]
    whole = torch.nn.functional.cross_entropy(logits, codes[:, 0]).item()
    draws, counted = generator(1), torch.ones(300, 1, dtype=torch.bool)
    sampled = [model.cross_entropy(guesses, codes, counted, draws).item() for _ in range(50)]
    assert sum(sampled) / 50 == pytest.approx(whole, abs=0.05)
    assert min(sampled) < whole < max(sampled)


def test_the_loss_of_a_uniform_guess_is_the_log_of_the_cardinality():
    model = DenoisingAutoencoder([8, 300], n_numeric=0, dim=4).eval()
    for table in (model.values, model.value_bias):
        torch.nn.init.zeros_(table.weight)
    codes = torch.tensor([[3, 8 + 150]])
    losses = model.cross_entropy(torch.zeros(1, 2, 4), codes, torch.tensor([[True, True]]), generator())
    torch.testing.assert_close(losses.detach(), torch.tensor([math.log(8), math.log(300)]), atol=0.01, rtol=0)


def test_the_loss_is_the_mean_over_columns_and_corrupted_codes(model, rows):
    codes, numbers = rows
    noisy = model.corrupt(codes, numbers, 0.3, generator())
    hidden = model.hidden(model.embedding(*noisy).flat())
    guesses = model.to_codes(hidden).squeeze(0).unflatten(1, (3, 5))
    corrupted_losses = torch.zeros(3)
    for f, (start, n) in enumerate([(0, 4), (4, 6), (10, 3)]):
        changed, span = noisy[0][:, f] != codes[:, f], slice(start, start + n)
        logits = guesses[changed, f] @ model.values.weight[span].T + model.value_bias.weight[span, 0]
        corrupted_losses[f] = torch.nn.functional.cross_entropy(logits, codes[changed, f] - start)
    squares = (model.to_numbers(hidden).squeeze(0) - numbers).square().mean(dim=0)
    found = model(noisy, codes, numbers, generator())
    torch.testing.assert_close(found, torch.cat((corrupted_losses, squares)).mean())


@pytest.mark.parametrize(("cardinalities", "n_numeric"), [([], 2), ([3], 0)])
def test_accepts_columns_of_one_kind_only(cardinalities, n_numeric):
    model = DenoisingAutoencoder(cardinalities, n_numeric=n_numeric, dim=2)
    codes, numbers = torch.zeros(5, len(cardinalities), dtype=torch.long), torch.randn(5, n_numeric)
    loss = model(model.corrupt(codes, numbers, 0.2, generator()), codes, numbers, generator())
    assert loss.isfinite()
