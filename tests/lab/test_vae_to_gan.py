import math

import pytest
import torch

from gan_modules.lab.training import Lab
from gan_modules.lab.vae_to_gan import AT, SIGMA, _best_normals, _vae, between


def test_integrals_cover_or_seek() -> None:
    least, covers, seeks = _best_normals()
    assert least == pytest.approx(math.log(2), abs=1e-3)
    assert (seeks.loc.item(), seeks.scale.item()) == pytest.approx((AT, SIGMA))
    assert covers.loc.item() == 0
    # the mean and the variance of the data
    assert covers.scale.item() == pytest.approx(math.hypot(AT, SIGMA), abs=0.02)


def test_between_is_a_share() -> None:
    assert between(torch.tensor([-0.6, -0.1, 0.1, 0.6, 0.9])) == pytest.approx(0.4)


def test_the_likelihood_is_normal() -> None:
    vae = _vae(Lab(), 0.5).eval()
    for parameter in vae.parameters():
        torch.nn.init.zeros_(parameter)
    # all outputs are 0: what is left is the density at one sigma
    terms = vae.autoencoder_losses((torch.full((3, 1), 0.5), None))
    expected = 0.5 + math.log(0.5) + math.log(2 * math.pi) / 2
    assert terms["reconstruction"].item() == pytest.approx(expected)
    assert terms["kl"].item() == pytest.approx(0, abs=1e-6)
    assert vae.draws(5000).std().item() == pytest.approx(0.5, abs=0.02)
