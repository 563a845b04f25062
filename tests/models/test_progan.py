"""ProGAN: its objective, its schedule and its networks."""

from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from small_networks import GrowingMLP
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

from gan_modules import ProGAN
from gan_modules.callbacks import StepCheckpoint
from gan_modules.networks import (
    DCGANDiscriminator,
    Growing,
    MLPGenerator,
    ProGANDiscriminator,
    ProGANGenerator,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*exists and is not empty")


def small(**options: Any) -> ProGAN:
    networks: dict[str, Any] = {
        "generator": partial(ProGANGenerator, channel_base=64),
        "discriminator": partial(ProGANDiscriminator, channel_base=64),
    }
    return ProGAN(**{"image_shape": (1, 16, 16), "latent_dim": 4, **networks, **options})


def means(images: Tensor, factor: int) -> Tensor:
    n, c, h, w = images.shape
    return images.reshape(n, c, h // factor, factor, w // factor, factor).mean((3, 5))


def times(images: Tensor, factor: int) -> Tensor:
    return images.repeat_interleave(factor, 2).repeat_interleave(factor, 3)


def test_the_schedule_is_one_of_images() -> None:
    model = small(stable_images=100, fade_images=50)
    expected = {
        0: 0.0, 100: 0.0, 101: 0.02, 125: 0.5, 150: 1.0, 250: 1.0, 275: 1.5, 300: 2.0, 400: 2.0,
        100_000: 2.0,
    }  # fmt: skip
    for images, level in expected.items():
        assert model.level(images) == pytest.approx(level), images
        model.on_iteration(1, images)
        for network in (model.generator, model.discriminator, model.averaged_generator):
            assert isinstance(network, Growing)
            assert network.stage == -(-level // 1)
            assert_close(network.level, torch.tensor(level))


class Linear(nn.Module):
    """``w . x`` of whole images."""

    def __init__(self, image_shape: Any) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.weight = nn.Parameter(torch.randn(image_shape))

    def forward(self, images: Tensor) -> Tensor:
        return (images * self.weight).sum((1, 2, 3))


@pytest.mark.parametrize("level", [0.0, 0.25, 1.0])
def test_objective_by_hand(level: float, double: None) -> None:
    """Of a linear critic the penalty is known: its weights, summed over a pixel of the stage."""
    model = small(
        image_shape=(1, 8, 8), generator=GrowingMLP, discriminator=Linear,
        gp_weight=3.0, drift=0.5,
    )  # fmt: skip
    model._grow(level)
    real = torch.randn(4, 1, 8, 8)
    torch.manual_seed(1)
    terms = model.discriminator_losses((real, None))
    torch.manual_seed(1)
    fake = model.generator(model.sample_noise(4))
    before, shown = times(means(real, 2), 2), real
    # of 8 pixels, 4 are the first stage
    shown = before if level == 0 else torch.lerp(before, real, level)
    critic: Any = model.discriminator
    factor = 2 if level == 0 else 1
    norm = (factor**2 * means(critic.weight[None], factor)).norm()
    assert_close(terms["wasserstein"], critic(fake).mean() - critic(shown).mean())
    assert_close(terms["gradient_penalty"], 3 * (norm - 1) ** 2)
    assert_close(terms["drift"], 0.5 * critic(shown).square().mean())
    torch.manual_seed(1)
    generators = model.generator_losses((real, None))["adversarial"]
    assert_close(generators, -critic(fake).mean())


def test_generator_fades_by_hand(double: None) -> None:
    generator = ProGANGenerator((1, 16, 16), 4, channel_base=64)
    z = torch.randn(2, 4)

    def at(level: float) -> Tensor:
        generator.grow(level)
        image: Tensor = generator(z)
        assert image.shape == (2, 1, 16, 16)
        return image

    first, second, third = at(0), at(1), at(2)
    assert_close(first, times(means(first, 4), 4))
    assert_close(second, times(means(second, 2), 2))
    assert_close(at(0.25), first + 0.25 * (second - first))
    assert_close(at(1.5), (second + third) / 2)


def test_discriminator_fades_by_hand(double: None) -> None:
    discriminator = ProGANDiscriminator((1, 8, 8), channel_base=64)
    images = torch.randn(4, 1, 8, 8)
    discriminator.grow(0)
    # pixels are averaged: what differs within one is not seen
    assert_close(discriminator(images), discriminator(times(means(images, 2), 2)))
    seen: list[Tensor] = []
    discriminator.spread.register_forward_pre_hook(lambda m, args: seen.append(args[0]))
    for level in (0.0, 1.0, 0.25):
        discriminator.grow(level)
        discriminator(images)
    assert_close(seen[2], seen[0] + 0.25 * (seen[1] - seen[0]))


def test_networks_have_the_papers_size() -> None:
    with torch.device("meta"):
        networks = ProGANGenerator((3, 1024, 1024), 512), ProGANDiscriminator((3, 1024, 1024))
    maps = [min(512, 16384 // 2**n) for n in range(2, 11)]

    def conv(before: int, after: int) -> int:
        return before * after * 9 + after

    generator = 512 * 512 * 16 + 512 * 16 + conv(512, 512) + sum(3 * c + 3 for c in maps)
    critic = conv(513, 512) + 512 * 16 * 512 + 512 + 512 + 1 + sum(3 * c + c for c in maps)
    for small_map, large in pairwise(maps):
        generator += conv(small_map, large) + conv(large, large)
        critic += conv(large, large) + conv(large, small_map)
    counted = [sum(p.numel() for p in network.parameters()) for network in networks]
    assert counted == [generator, critic]
    # 23.1 million each, table 2 of the paper
    assert [round(n / 1e5) for n in counted] == [231, 231]


def fit(steps: int, ckpt_path: str | None = None) -> tuple[ProGAN, Trainer]:
    torch.manual_seed(0 if ckpt_path is None else 1)
    # sizes come in after 8 and after 24 images, each over 8
    model = small(stable_images=8, fade_images=8)
    data = TensorDataset(
        torch.randn(4, 1, 16, 16, generator=torch.Generator().manual_seed(1)).tanh()
    )
    trainer = Trainer(
        accelerator="cpu", max_steps=steps, logger=False, limit_val_batches=0,
        enable_progress_bar=False, enable_model_summary=False,
        callbacks=[StepCheckpoint(1, dirpath="saved")],
    )  # fmt: skip
    trainer.fit(model, DataLoader(data, 4), ckpt_path=ckpt_path)
    return model, trainer


def steps_of(trainer: Trainer) -> set[float]:
    """How often weights were stepped since moments began."""
    found = [s for o in trainer.optimizers for s in o.state_dict()["state"].values()]
    return {float(state["step"]) for state in found}


@pytest.mark.filterwarnings("ignore:You.re resuming from a checkpoint that ended")
def test_resumed_in_the_middle_of_a_fade() -> None:
    whole, trainer = fit(9)
    assert whole.growing.stage == 2
    # before the fourth and the eighth update the moments were cleared
    assert steps_of(trainer) == {2.0}
    # in a fade, and where a size is about to come in
    for step in (3, 4, 7, 8):
        resumed, again = fit(9, f"saved/step_{step:06d}.ckpt")
        assert_close(resumed.state_dict(), whole.state_dict(), rtol=0, atol=0)
        for one, other in zip(again.optimizers, trainer.optimizers, strict=True):
            assert_close(one.state_dict(), other.state_dict(), rtol=0, atol=0)


def test_samples_of_a_checkpoint_are_of_its_size() -> None:
    fit(4)
    model = ProGAN.load_from_checkpoint("saved/step_000004.ckpt")
    assert isinstance(model.averaged_generator, Growing)
    assert (model.growing.stage, model.averaged_generator.stage) == (1, 1)
    assert_close(model.growing.level, torch.tensor(0.5))
    images = model.sample(2, seed=0)
    assert images.shape == (2, 1, 16, 16)
    assert_close(images, times(means(images, 2), 2))


def test_real_images_are_seen_at_their_size(double: None) -> None:
    growing = Growing(3)
    images = torch.randn(2, 1, 16, 16)
    growing.grow(1.75)
    assert growing.factor == 1
    assert_close(growing.at_level(images), torch.lerp(times(means(images, 2), 2), images, 0.75))
    growing.grow(0)
    assert growing.factor == 4
    assert_close(growing.at_level(images), F.avg_pool2d(images, 4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stable_images": 0}, "stable_images=0 must be at least 1"),
        ({"fade_images": 0}, "fade_images=0 must be at least 1"),
        ({"gp_weight": -1.0}, r"gp_weight=-1\.0 must be at least 0"),
        ({"drift": -1.0}, r"drift=-1\.0 must be at least 0"),
        ({"generator": MLPGenerator}, "must be Growing"),
        ({"discriminator": DCGANDiscriminator}, "discriminator has batch normalisation"),
        ({"discriminator": partial(ProGANDiscriminator, channel_base=8)}, "channel_base=8 must be"),
        ({"image_shape": (1, 22, 22)}, "does not fit ProGANGenerator"),
    ],
)
def test_what_does_not_fit_is_said(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options)
