"""Where the gradient is penalised, in a game of one number."""

import math
from functools import partial

import pytest
import torch
from torch import nn

from gan_modules.lab import Lab
from gan_modules.lab.penalty_places import FAKE, MLP, REAL, WEIGHT, penalty_places
from gan_modules.lab.players import ClippedCritic, Drawn
from gan_modules.objectives.regularizers import GradientPenalty


@pytest.mark.thorough
@pytest.mark.parametrize("one_sided", [False, True])
def test_a_linear_critic_settles_where_theory_says(one_sided: bool) -> None:
    model = ClippedCritic(
        Drawn(FAKE),
        n_critic=1,
        rate=0.02,
        clip_value=math.inf,
        discriminator=partial(MLP, hidden=()),
        regularizers=[GradientPenalty(WEIGHT, one_sided=one_sided)],
    )
    Lab().fit(model, REAL, 200)
    (layer,) = (m for m in model.discriminator.modules() if isinstance(m, nn.Linear))
    way = REAL.mean - FAKE.mean
    slope = 1 + way.norm().item() / (2 * WEIGHT)
    assert layer.weight.norm().item() == pytest.approx(slope, abs=0.015)
    assert torch.cosine_similarity(layer.weight[0], way, dim=0).item() > 0.999


def test_scores_of_an_mlp_by_hand() -> None:
    network = MLP((2,), hidden=(1,), activation=nn.Tanh)
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.5)
    scores = network(torch.tensor([[1.0, 2.0], [0.0, 0.0]]))
    expected = [0.5 * math.tanh(2.0) + 0.5, 0.5 * math.tanh(0.5) + 0.5]
    assert scores.tolist() == pytest.approx(expected)


def test_quick() -> None:
    found = penalty_places(Lab(effort=0.004))
    assert len(found.numbers) == 12
    assert found.checks


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_penalty_places(seed: int) -> None:
    assert [check for check in penalty_places(Lab(seed)).checks if not check.holds] == []
