"""Weights at the bound, and gradients through layers, by hand."""

import math

import pytest
import torch
from torch import nn

from gan_modules.lab import Lab
from gan_modules.lab.clipping import clipping, gradient_norms, kurtosis, share_at, weights
from gan_modules.lab.players import ClippedCritic, Drawn
from gan_modules.lab.training import fresh
from gan_modules.tools.toys import Toy


def critic(**options: object) -> ClippedCritic:
    return fresh(Lab(), lambda: ClippedCritic(Drawn(Toy("ring")), n_critic=1, **options))


def test_after_an_update_no_weight_is_beyond_the_bound() -> None:
    before = critic(clip_value=0.05)
    assert weights(before.discriminator).abs().max() > 0.05
    after = Lab().fit(before, Toy("ring"), 2, 16)
    bound = max(p.abs().max().item() for p in after.discriminator.parameters())
    assert bound == pytest.approx(0.05)
    assert share_at(weights(after.discriminator), 0.05) > 0.1


def test_shares_and_kurtosis_by_hand() -> None:
    two = torch.tensor([-1.0, 1.0, 1.0, -1.0])
    assert kurtosis(two) == pytest.approx(1)
    assert kurtosis(torch.linspace(-1, 1, 10_001)) == pytest.approx(1.8, abs=1e-3)
    torch.manual_seed(0)
    assert kurtosis(torch.randn(100_000)) == pytest.approx(3, abs=0.1)
    assert share_at(torch.tensor([-0.1, 0.0985, 0.097, 0.0]), 0.1) == 0.5


def test_weights_are_those_of_layers_without_biases() -> None:
    assert len(weights(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)))) == 16


def test_gradients_shrink_by_the_weight_in_every_layer() -> None:
    model = critic(hidden=(1, 1, 1))
    for layer in model.discriminator.modules():
        if isinstance(layer, nn.Linear):
            nn.init.constant_(layer.weight, 0.5)
            nn.init.constant_(layer.bias, 1.0)
    norms = gradient_norms(model, torch.ones(4, 2), torch.ones(4, 2))
    # all units are on: the gradient at the last hidden layer is the last weight, over 4, for each
    assert norms == pytest.approx([math.sqrt(8) / 4 * 0.5**n for n in (3, 2, 1)])


@pytest.mark.thorough
def test_quick() -> None:
    found = clipping(Lab(effort=0.004))
    assert found.checks


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_clipping(seed: int) -> None:
    assert [check for check in clipping(Lab(seed)).checks if not check.holds] == []
