from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from gan_modules import WGANGP
from gan_modules.networks import (
    DCGANDiscriminator,
    ResNetDiscriminator,
    ResNetGenerator,
)


class Linear(nn.Module):
    """D(x) = w.x with w = (2, 0, 0, ...)."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(64))
        with torch.no_grad():
            self.weight[0] = 2.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1) @ self.weight


class Constant(nn.Module):
    """G(z) = 0.25 everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(0.25))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.value.expand(len(z), 1, 8, 8)


def test_objective_by_hand() -> None:
    model = WGANGP(image_shape=(1, 8, 8), generator=Constant(), discriminator=Linear())
    batch = (torch.full((6, 1, 8, 8), -0.5), None)
    # D(real) = -1, D(fake) = 0.5, gradient norm 2: (2 - 1)^2 times 10
    assert_close(
        model.discriminator_losses(batch),
        {"wasserstein": torch.tensor(1.5), "gradient_penalty": torch.tensor(10.0)},
    )
    assert_close(model.generator_losses(batch), {"adversarial": torch.tensor(-0.5)})


def test_defaults_are_the_papers() -> None:
    model = WGANGP(image_shape=(3, 8, 8))
    assert (model.n_critic, model.gp_weight, model.latent_dim) == (5, 10.0, 128)
    assert isinstance(model.generator, ResNetGenerator)
    assert isinstance(model.discriminator, ResNetDiscriminator)
    for configured in model.configure_optimizers():  # type: ignore[union-attr]
        group = configured["optimizer"].param_groups[0]  # type: ignore[index]
        assert (group["lr"], group["betas"]) == (1e-4, (0.0, 0.9))


def test_batch_norm_in_the_critic_is_refused() -> None:
    with pytest.raises(ValueError, match="discriminator has batch normalisation"):
        WGANGP(image_shape=(1, 16, 16), discriminator=DCGANDiscriminator)


def test_conditional_use(make_model: Any, make_trainer: Any, make_loader: Any) -> None:
    model = make_model(n_critic=2, num_classes=3, conditional=True)
    make_trainer(max_steps=3).fit(model, make_loader(12))
    images = model.sample(6, labels=[0, 1, 2, 0, 1, 2], seed=1)
    again = model.sample(6, seed=1)
    assert_close(images, again, rtol=0, atol=0)
    assert not torch.equal(images, model.sample(6, labels=[1] * 6, seed=1))
    with pytest.raises(ValueError, match=r"labels=\[0, 3\] must be 2 integers in \[0, 2\]"):
        model.sample(2, labels=[0, 3])


def test_sample(make_model: Any) -> None:
    model = make_model()
    model.train()
    before = torch.random.get_rng_state()
    images = model.sample(5, seed=3)
    assert_close(torch.random.get_rng_state(), before)
    assert images.shape == (5, 1, 8, 8)
    assert images.abs().max() <= 1
    assert not images.requires_grad
    assert all(module.training for module in model.modules())
    assert_close(model.sample(5, seed=3), images, rtol=0, atol=0)
    assert not torch.equal(model.sample(5, seed=4), images)
    assert not torch.equal(model.sample(5), model.sample(5))
    with pytest.raises(ValueError, match="takes no labels"):
        model.sample(2, labels=[0, 1])
    with pytest.raises(ValueError, match="n=0 must be at least 1"):
        model.sample(0)


def test_sample_is_from_the_averaged_generator(make_model: Any) -> None:
    model = make_model()
    for parameter in model.generator.parameters():
        nn.init.zeros_(parameter)
    assert model.sample(2).abs().max() > 0
    live = make_model(ema_decay=0.0)
    for parameter in live.generator.parameters():
        nn.init.zeros_(parameter)
    assert live.averaged_generator is None
    assert live.sample(2).abs().max() == 0


# ---- a critic that is an MLP: scores and gradients at once --------------------------------------
