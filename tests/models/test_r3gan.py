"""R3GAN: its objective, its schedules and its networks."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from gan_modules import DCGAN, R1, R2, R3GAN, CosineBurnIn, CycleGAN, RandomShift
from gan_modules.networks import (
    CycleGANGenerator,
    DCGANDiscriminator,
    MLPDiscriminator,
    MLPGenerator,
    PatchGANDiscriminator,
    R3GANDiscriminator,
    R3GANGenerator,
)
from gan_modules.objectives.augmentations import InstanceNoise


class Linear(nn.Module):
    """``w . x``, whose gradient is w everywhere."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weight


class Ones(nn.Module):
    """Fakes that are white."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, z: Tensor) -> Tensor:
        return self.weight * torch.ones(len(z), 1, 2, 2)


def test_objective_by_hand() -> None:
    weight = torch.tensor([1.0, -2.0, 3.0, 0.5])
    model = R3GAN(
        image_shape=(1, 2, 2),
        gamma=0.4,
        generator=Ones(),  # type: ignore[arg-type]
        discriminator=Linear(weight),  # type: ignore[arg-type]
    )
    real = torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 0, 0]]).reshape(2, 1, 2, 2)
    # D(x) = 1 and -2, D(G(z)) = 2.5
    terms = model.discriminator_losses((real, None))
    differences = torch.tensor([2.5 - 1, 2.5 + 2])
    penalty = torch.tensor(0.4 / 2 * (1 + 4 + 9 + 0.25))
    expected = {"adversarial": F.softplus(differences).mean(), "r1": penalty, "r2": penalty}
    assert_close({k: v.detach() for k, v in terms.items()}, expected)
    g = model.generator_losses((real, None))
    assert_close(g["adversarial"].detach(), F.softplus(-differences).mean())


def test_its_penalties_are_the_regularizers(double: None) -> None:
    networks: dict[str, Any] = {
        "generator": partial(MLPGenerator, hidden=(4,)),
        "discriminator": partial(MLPDiscriminator, hidden=(4,)),
        "latent_dim": 3,
    }
    torch.manual_seed(0)
    own = R3GAN(image_shape=(1, 2, 2), gamma=0.7, **networks)
    torch.manual_seed(0)
    given = DCGAN(
        image_shape=(1, 2, 2),
        loss="relativistic",
        latent_distribution="normal",
        regularizers=[R1(0.7), R2(0.7)],
        **networks,
    )
    batch = (torch.randn(5, 1, 2, 2), None)
    for player in ("discriminator", "generator"):
        torch.manual_seed(1)
        one = own.terms_of(player, batch)
        torch.manual_seed(1)
        other = given.terms_of(player, batch)
        assert_close(one, other)
        parameters = list(getattr(own, player).parameters())
        gradients = torch.autograd.grad(sum(one.values()), parameters)  # type: ignore[arg-type]
        parameters = list(getattr(given, player).parameters())
        expected = torch.autograd.grad(sum(other.values()), parameters)  # type: ignore[arg-type]
        assert_close(gradients, expected)


def test_gamma_follows_half_a_cosine() -> None:
    model = R3GAN(
        image_shape=(1, 8, 8), gamma=2.0, final_gamma=1.0, burn_in_images=100,
        generator=MLPGenerator, discriminator=MLPDiscriminator,
    )  # fmt: skip
    for images, expected in ((0, 2.0), (50, 1.5), (100, 1.0), (1000, 1.0)):
        model.on_iteration(1, images)
        assert_close(model.gamma, torch.tensor(expected))


def test_rates_and_betas_burn_in() -> None:
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=4e-4, betas=(0.0, 0.9))
    schedule = CosineBurnIn(optimizer, steps=10)
    seen = []
    for _ in range(12):
        seen.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["betas"][1]))
        optimizer.step()
        schedule.step()
    part = (1 + math.cos(math.pi * 0.3)) / 2
    assert_close(torch.tensor(seen[0]), torch.tensor([4e-4, 0.9]))
    assert_close(torch.tensor(seen[3]), torch.tensor([1e-4 + 3e-4 * part, 0.99 - 0.09 * part]))
    assert_close(torch.tensor(seen[10]), torch.tensor([1e-4, 0.99]))
    assert_close(torch.tensor(seen[11]), torch.tensor([1e-4, 0.99]))
    with pytest.raises(ValueError, match="CosineBurnIn needs an optimizer with betas, not SGD"):
        CosineBurnIn(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0), 10)


def test_networks_have_the_papers_size() -> None:
    # by hand, for 32 pixels: 8 blocks of 1x1, 3x3 in 96 groups, 1x1, with two biases
    block = 768 * 1536 + 1536 * 16 * 9 + 1536 * 768 + 2 * 1536
    generator = R3GANGenerator((3, 32, 32), 64)
    expected = 768 * 16 + 64 * 768 + 8 * block + 768 * 3
    assert sum(p.numel() for p in generator.parameters()) == expected
    discriminator = R3GANDiscriminator((3, 32, 32))
    expected = 3 * 768 + 8 * block + 768 * 16 + 768
    assert sum(p.numel() for p in discriminator.parameters()) == expected


def test_blocks_start_as_the_identity_and_resampling_keeps_a_plain(double: None) -> None:
    generator = R3GANGenerator((1, 16, 16), 4, width=8).eval()
    z = torch.randn(2, 4)
    scales = generator.linear(z)[:, :, None, None] * generator.basis
    assert_close(generator.layers[:2](scales), scales)
    # away from the border, where zeros come in
    plain = torch.ones(1, 8, 8, 8)
    up, down = generator.layers[2], R3GANDiscriminator((1, 16, 16), width=8).layers[3]
    assert_close(up(plain)[:, :, 1:-1, 1:-1], torch.ones(1, 8, 14, 14))
    assert_close(down(plain)[:, :, 1:, 1:], torch.ones(1, 8, 3, 3))


def test_classes_have_logits_of_their_own() -> None:
    discriminator = R3GANDiscriminator((1, 8, 8), num_classes=3, width=8)
    images = torch.randn(1, 1, 8, 8).expand(3, -1, -1, -1)
    every = discriminator.layers(images)[0]
    assert_close(discriminator(images, torch.tensor([2, 0, 1])), every[[2, 0, 1]])


@pytest.mark.parametrize("fill", [None, -1.0])
def test_shifts_are_shifts(fill: float | None) -> None:
    images = torch.arange(4 * 16.0).reshape(4, 1, 4, 4)
    mode = {"mode": "replicate"} if fill is None else {"value": fill}
    padded = F.pad(images, [1] * 4, **mode)
    expected = {(y, x): padded[:, :, y : y + 4, x : x + 4] for y in range(3) for x in range(3)}
    shift, met = RandomShift(1, fill=fill), set()
    torch.manual_seed(0)
    for _ in range(60):
        for number, shifted in enumerate(shift(images)):
            places = [k for k, v in expected.items() if torch.equal(v[number], shifted)]
            assert len(places) == 1
            met.add(places[0])
    assert met == set(expected)


@pytest.mark.parametrize("loss", ["relativistic", "relativistic_average"])
def test_translation_takes_them_too(loss: Any, make_trainer: Any) -> None:
    model = CycleGAN(
        image_shape=(1, 16, 16), loss=loss,
        generator=partial(CycleGANGenerator, width=2, n_blocks=1, n_downsampling=1),
        discriminator=partial(PatchGANDiscriminator, width=2, n_layers=1),
    )  # fmt: skip
    a, b = torch.rand(2, 2, 1, 16, 16) * 2 - 1
    terms = model.generator_losses((a, b))
    fake = model.generator["a_to_b"](a)
    judge = model.discriminator["b"]
    assert_close(terms["a_to_b"], model.loss.generator(judge(fake), judge(b)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": -1.0}, r"gamma=-1\.0 must be at least 0"),
        ({"burn_in_images": 0}, "burn_in_images=0 must be at least 1"),
        ({"discriminator": DCGANDiscriminator}, "discriminator has batch normalisation"),
        (
            {"discriminator": partial(R3GANDiscriminator, width=4, group_width=16)},
            "group_width=16 must divide twice the width, 8 channels",
        ),
    ],
)
def test_what_does_not_fit_is_said(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        R3GAN(image_shape=(1, 16, 16), **{"generator": MLPGenerator, **options})
    with pytest.raises(ValueError, match="pixels=0 must be at least 1"):
        RandomShift(0)
    with pytest.raises(ValueError, match=r"fill=-2 must be in \[-1, 1\], or null"):
        RandomShift(1, fill=-2)


def test_augmentation_and_schedule_in_training(make_trainer: Any, make_loader: Any) -> None:
    model = R3GAN(
        image_shape=(1, 8, 8), latent_dim=4, gamma=1.0, final_gamma=0.0, burn_in_images=8,
        generator=partial(R3GANGenerator, width=8, blocks=1),
        discriminator=partial(R3GANDiscriminator, width=8, blocks=1),
        augmentation=InstanceNoise(0.1), discriminator_scheduler=partial(CosineBurnIn, steps=2),
    )  # fmt: skip
    trainer = make_trainer(max_steps=3)
    trainer.fit(model, make_loader(4))
    assert_close(model.gamma, torch.tensor(0.0))
    assert trainer.optimizers[1].param_groups[0]["betas"][1] == pytest.approx(0.99)
    assert model.sample(2, seed=0).abs().max() <= 1
