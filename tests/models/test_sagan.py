"""SAGAN and BigGAN: one hinge step by hand, rates, networks."""

from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from gan_modules import SAGAN, BigGAN
from gan_modules.networks import (
    BigGANDiscriminator,
    BigGANGenerator,
    SAGANDiscriminator,
    SAGANGenerator,
)

NETWORKS: dict[Any, Any] = {
    SAGAN: (SAGANGenerator, SAGANDiscriminator),
    BigGAN: (BigGANGenerator, BigGANDiscriminator),
}


def narrow(variant: Any, **kwargs: Any) -> Any:
    generator, discriminator = NETWORKS[variant]
    options: dict[str, Any] = {"width": 2, "spectral_norm": False}
    return variant(
        image_shape=(1, 8, 8), conditional=True, num_classes=3,
        generator=partial(generator, **options), discriminator=partial(discriminator, **options),
        **kwargs,
    )  # fmt: skip


def by_hand(weight: Tensor, gradient: Tensor, lr: float, betas: Any, eps: float) -> Tensor:
    """Adam's first step."""
    first, second = (1 - betas[0]) * gradient, (1 - betas[1]) * gradient.square()
    first, second = first / (1 - betas[0]), second / (1 - betas[1])
    return weight - lr * first / (second.sqrt() + eps)


@pytest.mark.parametrize(
    ("variant", "rates", "beta", "eps"),
    [(SAGAN, (4e-4, 1e-4), 0.9, 1e-8), (BigGAN, (2e-4, 5e-5), 0.999, 1e-6)],
)
def test_one_hinge_step_by_hand(
    variant: Any, rates: Any, beta: float, eps: float, double: None, make_trainer: Any
) -> None:
    """One iteration of either player, and its rate, from the formulas."""
    model = narrow(variant, latent_dim=6, n_critic=1, share_fakes=True)
    z = torch.randn(4, 6)
    model.sample_noise = lambda n: z
    real, labels = torch.rand(4, 1, 8, 8) * 2 - 1, torch.tensor([0, 1, 2, 1])
    g, d = deepcopy(model.generator), deepcopy(model.discriminator)
    g.train(), d.train()
    loss = F.relu(1 - d(real, labels)).mean() + F.relu(1 + d(g(z, labels).detach(), labels)).mean()
    loss.backward()
    expected_d = [by_hand(p, p.grad, rates[0], (0, beta), eps).detach() for p in d.parameters()]
    with torch.no_grad():
        for p, new in zip(d.parameters(), expected_d, strict=True):
            p.copy_(new)
    (-d(g(z, labels), labels).mean()).backward()
    expected_g = [by_hand(p, p.grad, rates[1], (0, beta), eps).detach() for p in g.parameters()]
    data = torch.utils.data.TensorDataset(real, labels)
    trainer = make_trainer(max_steps=1, precision="64-true")
    trainer.fit(model, torch.utils.data.DataLoader(data, 4))
    assert_close([p.detach() for p in model.discriminator.parameters()], expected_d)
    assert_close([p.detach() for p in model.generator.parameters()], expected_g)


def test_defaults_are_the_papers() -> None:
    sagan = SAGAN(image_shape=(3, 8, 8), latent_dim=128)
    assert (sagan.latent_dim, sagan.n_critic, sagan.latent_distribution) == (128, 1, "normal")
    biggan = narrow(BigGAN)
    assert (biggan.latent_dim, biggan.n_critic, biggan.ema_decay) == (120, 2, 0.9999)
    assert isinstance(sagan.generator, SAGANGenerator)
    # both networks are normalised spectrally
    for network in (sagan.generator, sagan.discriminator):
        assert hasattr(network.linear, "parametrizations")


@pytest.mark.parametrize("variant", NETWORKS)
def test_classes_are_for_conditional_models(variant: Any) -> None:
    model = narrow(variant)
    assert model.sample(4, labels=[0, 1, 2, 2]).shape == (4, 1, 8, 8)
    generator, discriminator = NETWORKS[variant]
    plain = variant(
        image_shape=(1, 8, 8),
        num_classes=3,
        generator=partial(generator, width=2),
        discriminator=partial(discriminator, width=2),
    )
    assert plain.sample(2, truncation=0.5).shape == (2, 1, 8, 8)
    assert not hasattr(plain.discriminator, "embedding")
