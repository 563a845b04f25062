import math

import pytest
import torch

from gan_modules.lab.balance import covered
from gan_modules.lab.games import game, modes, near_modes, ring
from gan_modules.lab.training import Lab, draw
from gan_modules.models.gan import GAN
from gan_modules.models.wgan_gp import WGANGP


def test_the_ring_is_round_and_equally_spaced() -> None:
    centers = ring(8, 0.5)
    assert torch.allclose(centers.norm(dim=1), torch.full((8,), 0.5))
    side = (centers - centers.roll(1, 0)).norm(dim=1)
    assert torch.allclose(side, torch.full((8,), math.sin(math.pi / 8)))


def test_all_but_one_in_ninety_points_of_a_mode_are_within_3_sigma() -> None:
    centers = ring(4)
    shares = near_modes(draw(modes(centers, 0.05), 20_000), centers, 0.05)
    # in the plane 1 - exp(-9 / 2)
    assert shares.sum().item() == pytest.approx(1 - math.exp(-4.5), abs=0.003)
    assert torch.allclose(shares, torch.full((4,), 0.25), atol=0.02)


def test_a_mode_is_covered_with_a_sixth_of_its_share() -> None:
    assert covered(torch.tensor([0.25, 0.042, 0.041, 0.0])) == 2


@pytest.mark.parametrize("paper", [GAN, WGANGP])
def test_a_game_is_of_the_paper_and_starts_from_the_seed(paper: type[GAN | WGANGP]) -> None:
    one, same, other = (game(Lab(seed), paper, n_critic=2, generator=(8,)) for seed in (0, 0, 1))
    assert type(one) is paper
    assert one.n_critic == 2
    assert one.sample(3, seed=0).shape == (3, 2)
    assert torch.equal(one.sample(3, seed=0), same.sample(3, seed=0))
    assert not torch.equal(one.sample(3, seed=0), other.sample(3, seed=0))


def test_what_is_sampled_is_the_generator_that_learns() -> None:
    lab = Lab(effort=0.01)
    model = lab.fit(
        game(lab, GAN, generator=(8,), discriminator=(8,)), modes(ring(), 0.05), 300, 16
    )
    z = model.latents(4, seed=0)
    assert torch.equal(model(z), model.generator(z))
