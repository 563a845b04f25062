"""GAN, DCGAN and cGAN: the original objective with three papers' networks and settings."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import SGD
from torch.testing import assert_close

from gan_modules import CGAN, DCGAN, GAN
from gan_modules.networks import (
    CGANDiscriminator,
    CGANGenerator,
    DCGANDiscriminator,
    DCGANGenerator,
    MLPDiscriminator,
    MLPGenerator,
)


def sgd(parameters: Any) -> SGD:
    return SGD(parameters, lr=0.1)


def repeatable(cls: Any) -> Any:
    """The class with noise that a loop written in the test can draw too."""

    class Repeatable(cls):  # type: ignore[misc]
        def _seed_noise(self) -> None:
            torch.manual_seed(self.global_step)

    return Repeatable


@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize("cls", [GAN, DCGAN])
@pytest.mark.parametrize("loss", ["non_saturating", "minimax"])
@pytest.mark.parametrize("smoothing", [0.0, 0.25])
def test_same_weights_as_a_straight_loop(
    cls: Any, share: bool, loss: str, smoothing: float, make_model: Any, make_trainer: Any,
    make_loader: Any, double: None,
) -> None:  # fmt: skip
    """Algorithm 1 of arXiv:1406.2661, written with cross entropies as everybody writes it."""
    options: dict[str, Any] = {
        "n_critic": 2,
        "share_fakes": share,
        "loss": loss,
        "label_smoothing": smoothing,
        "latent_distribution": "uniform",
        "generator_optimizer": sgd,
        "discriminator_optimizer": sgd,
    }
    model, twin = (make_model(repeatable(cls), **options) for _ in range(2))
    twin.load_state_dict(model.state_dict())
    make_trainer(max_steps=4).fit(model, make_loader(8))

    generator, discriminator = twin.generator, twin.discriminator
    optimizer_g, optimizer_d = sgd(generator.parameters()), sgd(discriminator.parameters())
    entropy = F.binary_cross_entropy_with_logits
    for step, (images, _) in zip(range(4), make_loader(8), strict=False):
        torch.manual_seed(step)
        for real in images.chunk(2):
            made = generator(torch.rand(4, 4) * 2 - 1)
            fake = made.detach()
            d_loss = entropy(discriminator(real), torch.full((4,), 1 - smoothing))
            d_loss = d_loss + entropy(discriminator(fake), torch.zeros(4))
            optimizer_d.zero_grad()
            d_loss.backward()
            optimizer_d.step()
        # DCGAN shows the generator's own fakes, as dcgan.torch does
        logits = discriminator(made if share else generator(torch.rand(4, 4) * 2 - 1))
        if loss == "minimax":
            g_loss = -entropy(logits, torch.zeros(4))
        else:
            g_loss = entropy(logits, torch.ones(4))
        optimizer_g.zero_grad()
        g_loss.backward()
        optimizer_g.step()
    for name in ("generator", "discriminator"):
        ours, theirs = getattr(model, name).parameters(), getattr(twin, name).parameters()
        for a, b in zip(ours, theirs, strict=True):
            assert_close(a, b)


def test_conditional_same_weights_as_a_straight_loop(
    make_model: Any, make_trainer: Any, make_loader: Any, double: None
) -> None:
    """Both players see the label; a fake has the label of the real image beside it."""
    options: dict[str, Any] = {
        "num_classes": 3,
        "latent_distribution": "normal",
        "generator_optimizer": sgd,
        "discriminator_optimizer": sgd,
    }
    model, twin = (make_model(repeatable(CGAN), **options) for _ in range(2))
    twin.load_state_dict(model.state_dict())
    make_trainer(max_steps=3).fit(model, make_loader(6))

    generator, discriminator = twin.generator, twin.discriminator
    optimizer_g, optimizer_d = sgd(generator.parameters()), sgd(discriminator.parameters())
    for step, (real, labels) in zip(range(3), make_loader(6), strict=False):
        torch.manual_seed(step)
        hot = torch.eye(3)[labels]
        fake = generator.layers(torch.cat([torch.randn(6, 4), hot], dim=1)).detach()
        on_real = discriminator.layers(torch.cat([real.flatten(1), hot], dim=1))
        on_fake = discriminator.layers(torch.cat([fake.flatten(1), hot], dim=1))
        optimizer_d.zero_grad()
        (F.softplus(-on_real).mean() + F.softplus(on_fake).mean()).backward()
        optimizer_d.step()
        fake = generator.layers(torch.cat([torch.randn(6, 4), hot], dim=1))
        on_fake = discriminator.layers(torch.cat([fake.flatten(1), hot], dim=1))
        optimizer_g.zero_grad()
        F.softplus(-on_fake).mean().backward()
        optimizer_g.step()
    for name in ("generator", "discriminator"):
        ours, theirs = getattr(model, name).parameters(), getattr(twin, name).parameters()
        for a, b in zip(ours, theirs, strict=True):
            assert_close(a, b)


@pytest.mark.parametrize(
    ("cls", "networks"),
    [
        (GAN, (MLPGenerator, MLPDiscriminator)),
        (DCGAN, (DCGANGenerator, DCGANDiscriminator)),
        (CGAN, (CGANGenerator, CGANDiscriminator)),
    ],
)
def test_defaults_are_the_papers(cls: Any, networks: Any) -> None:
    model = cls(image_shape=(1, 16, 16), num_classes=3)
    assert (model.n_critic, model.latent_dim, model.latent_distribution) == (1, 100, "uniform")
    assert (type(model.generator), type(model.discriminator)) == networks
    for configured in model.configure_optimizers():
        group = configured["optimizer"].param_groups[0]
        assert (group["lr"], group["betas"]) == (2e-4, (0.5, 0.999))


def test_default_widths() -> None:
    gan = GAN(image_shape=(1, 28, 28))
    widths = [m.out_features for m in gan.generator.modules() if isinstance(m, nn.Linear)]
    assert widths == [1200, 1200, 784]
    widths = [m.out_features for m in gan.discriminator.modules() if isinstance(m, nn.Linear)]
    assert widths == [240 * 5, 240 * 5, 1]
    dcgan = DCGAN(image_shape=(3, 64, 64))
    assert dcgan.generator.layers[0].out_features == 1024 * 16  # type: ignore[index, union-attr]


def test_batch_norm_judges_real_and_fake_images_apart(make_model: Any) -> None:
    model = make_model(
        DCGAN,
        image_shape=(1, 16, 16),
        discriminator=lambda **kwargs: DCGANDiscriminator(width=2, **kwargs),
    )
    real, fake = torch.randn(6, 1, 16, 16), torch.randn(6, 1, 16, 16) * 3 + 1
    expected = model.discriminator(real), model.discriminator(fake)
    assert_close(model.discriminate_both(real, fake, None), expected)
    together = model.discriminator(torch.cat([real, fake])).chunk(2)
    assert not torch.allclose(together[0], expected[0], rtol=0.01, atol=0)


def test_uniform_latents(make_model: Any) -> None:
    z = make_model(GAN, latent_distribution="uniform", latent_dim=1000).sample_noise(100)
    # 100,000 draws from [-1, 1): mean 0, variance 1/3
    assert z.min() >= -1
    assert z.max() < 1
    assert_close(z.mean().item(), 0.0, rtol=0, atol=0.01)
    assert_close(z.var().item(), 1 / 3, rtol=0.02, atol=0)


def test_sampling_by_label_follows_the_label() -> None:
    """A generator that paints its label shows that every label arrives where it should."""

    class Painter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return (self.scale * labels / 4).reshape(-1, 1, 1, 1).expand(-1, 1, 8, 8)

    model = CGAN(image_shape=(1, 8, 8), num_classes=4, generator=Painter())
    assert model.sample(3, labels=[2, 0, 3])[:, 0, 0, 0].tolist() == [0.5, 0.0, 0.75]
    assert model.sample(5)[:, 0, 0, 0].tolist() == [0.0, 0.25, 0.5, 0.75, 0.0]
    batch = (torch.zeros(3, 1, 8, 8), torch.tensor([3, 3, 1]))
    assert model.generate(batch)[:, 0, 0, 0].tolist() == [0.75, 0.75, 0.25]
    assert model.sample_grid(9, 0, batch)[:, :, 0, 0, 0].tolist() == [
        [0.0] * 2,
        [0.25] * 2,
        [0.5] * 2,
        [0.75] * 2,
    ]


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: CGAN(image_shape=(1, 8, 8), num_classes=0), "num_classes=0 must be at least 2"),
        (lambda: GAN(image_shape=(1, 8, 8), loss="hinge"), "loss='hinge' must be non_saturating"),  # type: ignore[arg-type]
        (lambda: GAN(image_shape=(1, 8, 8), label_smoothing=2), r"label_smoothing=2 must be in"),
        (
            lambda: GAN(image_shape=(1, 8, 8), latent_distribution="cauchy"),  # type: ignore[arg-type]
            "latent_distribution='cauchy' must be normal, uniform or sphere",
        ),
        (lambda: GAN(image_shape=(8, 0)), r"image_shape=\(8, 0\) must be \(C, H, W\), "),
    ],
)
def test_wrong_options(make: Any, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        make()
