"""What ``throughput.py`` measures: variants with their networks, batches and data.

Images are random: what is in them does not change how long training takes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from datamodules.base import Split
from datamodules.images import ImageDataModule
from datamodules.unpaired import UnpairedDataModule
from gan_modules.networks.layers.blocks import doublings, init_normal
from gan_modules.networks.layers.resampling import UpsampleConv2d

__all__ = ["CASES", "Case", "NoiseImages", "NoisePairs", "UpsamplingGenerator", "random_images"]

Objective = Literal["cross_entropy", "weight_clipping", "gradient_penalty", "cycle"]


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        model: class and arguments, as in a config file.
        objective: which of the hand-written loops trains it.
        image_shape: ``(C, S, S)``.
        batch_size: images per update.
        rate: learning rate of the variant's default optimizer.
        betas: of Adam, where it is Adam.
        latent_dim: size of the latent vector.
        latents: their distribution.
        n_critic: discriminator updates per generator update.
        conditional: whether both networks take labels.
        goal: images/s over the usual script's, in float32; None where there is none.
        bf16_goal: ours in bfloat16 over the usual script's in float32; None where that is not
            asked for.
        compiled_goal: likewise with compiled losses.
        steps: iterations in one round of the measurement.
    """

    model: dict[str, Any]
    objective: Objective
    goal: float | None
    bf16_goal: float | None = None
    compiled_goal: float | None = None
    image_shape: tuple[int, int, int] = (1, 32, 32)
    batch_size: int = 64
    rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    latent_dim: int = 100
    latents: Literal["normal", "uniform"] = "uniform"
    n_critic: int = 1
    conditional: bool = False
    steps: int = 50
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def images(self) -> int:
        """Real images that one iteration takes."""
        return self.batch_size * self.n_critic

    @property
    def stored_shape(self) -> tuple[int, int, int]:
        """Shape of an image as it is stored: MNIST's, which are made 32 pixels, or as trained."""
        return (1, 28, 28) if self.image_shape == (1, 32, 32) else self.image_shape

    def config(self, size: int) -> dict[str, Any]:
        """Model and data as in a config file, with so many images of data."""
        kind = "NoisePairs" if self.objective == "cycle" else "NoiseImages"
        channels, side, _ = self.image_shape
        data = {"channels": channels, "image_size": side, "batch_size": self.batch_size}
        if self.stored_shape != self.image_shape:
            data["stored_size"] = self.stored_shape[-1]
        return {
            "model": self.model,
            "data": {"class_path": f"{__name__}.{kind}", "init_args": {**data, "size": size}},
        }


class NoiseImages(ImageDataModule):
    """Random images of 10 classes.

    Args:
        channels: of the images.
        image_size: side of the images.
        size: number of images.
        stored_size: side of the images before they are resized to ``image_size``; None for that.
        **kwargs: options of :class:`ImageDataModule`.
    """

    num_classes = 10

    def __init__(
        self,
        *,
        channels: int,
        image_size: int,
        size: int,
        stored_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(image_size=image_size, **kwargs)
        self.channels = channels
        self.size = size
        self.stored_size = stored_size or image_size

    def load(self, split: Split) -> tuple[Tensor, Tensor]:
        """Images ``(N, C, S, S)`` and labels of any split."""
        return random_images(self.size, (self.channels, self.stored_size, self.stored_size))


class NoisePairs(UnpairedDataModule):
    """Random images of two domains.

    Args:
        channels: of the images.
        image_size: side of the images.
        size: number of images in each domain.
        **kwargs: options of :class:`UnpairedDataModule`.
    """

    def __init__(self, *, channels: int, image_size: int, size: int, **kwargs: Any) -> None:
        super().__init__(image_size=image_size, **kwargs)
        self.channels = channels
        self.size = size

    def load(self, split: Split) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Images and labels of both domains, of any split."""
        a, b = (random_images(self.size, self.image_shape) for _ in "ab")
        return a, b


def random_images(n: int, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Images ``(n, *shape)``, uint8, and labels of 10 classes."""
    images = torch.randint(256, (n, *shape), dtype=torch.uint8)
    return images, torch.randint(10, (n,))


class UpsamplingGenerator(nn.Module):
    """Latent to image by nearest upsampling and 3x3 convolutions, batch norm, ReLU, tanh.

    Channels as in DCGAN's generator of the same width.

    Args:
        image_shape: ``(C, S, S)``.
        latent_dim: size of the latent vector.
        width: channels of the last hidden layer.
    """

    def __init__(self, image_shape: Sequence[int], latent_dim: int, width: int = 64) -> None:
        super().__init__()
        times = doublings(image_shape, type(self).__name__)
        channels = width * 2 ** (times - 1)
        layers: list[nn.Module] = [
            nn.Linear(latent_dim, channels * 4 * 4, bias=False),
            nn.Unflatten(1, (channels, 4, 4)),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        ]
        for _ in range(times - 1):
            layers += [
                UpsampleConv2d(channels, channels // 2, bias=False),
                nn.BatchNorm2d(channels // 2),
                nn.ReLU(inplace=True),
            ]
            channels //= 2
        layers += [UpsampleConv2d(channels, image_shape[0]), nn.Tanh()]
        self.layers = nn.Sequential(*layers).to(memory_format=torch.channels_last)
        self.apply(init_normal)

    def forward(self, z: Tensor) -> Tensor:
        """Map latents ``(N, latent_dim)`` to images ``(N, C, S, S)`` in [-1, 1]."""
        images: Tensor = self.layers(z)
        return images


def _model(name: str, **arguments: Any) -> dict[str, Any]:
    return {"class_path": name, "init_args": arguments}


def _fully_connected(name: str, **arguments: Any) -> dict[str, Any]:
    # 512 x 3 layers, the defaults of these networks
    networks = {"generator": "MLPGenerator", "discriminator": "MLPDiscriminator"}
    return _model(name, **{player: _model(each) for player, each in networks.items()}, **arguments)


CASES = {
    "mlp_wgan_gp": Case(
        _fully_connected("WGANGP"), "gradient_penalty", 2.2, 3.0, 3.5, rate=1e-4, betas=(0.0, 0.9),
        latent_dim=128, latents="normal", n_critic=5, steps=10,
    ),
    "mlp_gan": Case(_fully_connected("GAN"), "cross_entropy", 2.0),
    "mlp_cgan": Case(_fully_connected("CGAN"), "cross_entropy", 2.0, conditional=True),
    "mlp_wgan": Case(
        _fully_connected("WGAN"), "weight_clipping", 2.0, rate=5e-5, latents="normal", n_critic=5,
        steps=10,
    ),
    # the networks of the papers: maxout layers, dropout
    "gan": Case(_model("GAN"), "cross_entropy", None, image_shape=(1, 28, 28), batch_size=100),
    "cgan": Case(
        _model("CGAN"), "cross_entropy", None, image_shape=(1, 28, 28), batch_size=100,
        conditional=True,
    ),
    # DCGAN's networks
    "wgan": Case(
        _model("WGAN", latent_dim=100), "weight_clipping", None, rate=5e-5, latents="normal",
        n_critic=5, steps=2,
    ),
    # the paper's networks, at 32 pixels one doubling less
    "dcgan": Case(_model("DCGAN"), "cross_entropy", 1.4, 2.3, steps=3),
    "upsampling": Case(
        _model(
            "DCGAN",
            generator=_model(f"{__name__}.UpsamplingGenerator"),
            discriminator=_model("DCGANDiscriminator"),
        ),
        "cross_entropy", 2.3, 3.8, steps=5,
    ),
    # the paper's networks with 64 channels in place of 128, and one critic update in place of 5
    "resnet_wgan_gp": Case(
        _model(
            "WGANGP", n_critic=1,
            generator=_model("ResNetGenerator", width=64),
            discriminator=_model("ResNetDiscriminator", width=64),
        ),
        "gradient_penalty", 1.4, image_shape=(3, 32, 32), rate=1e-4, betas=(0.0, 0.9),
        latent_dim=128, latents="normal", steps=2,
    ),
    # the paper's networks with 16 channels in place of 64, 6 blocks
    "cyclegan": Case(
        _model(
            "CycleGAN",
            generator=_model("CycleGANGenerator", width=16),
            discriminator=_model("PatchGANDiscriminator", width=16),
        ),
        "cycle", 1.3, image_shape=(3, 32, 32), batch_size=1, steps=40,
    ),
}  # fmt: skip
"""The rows of the table by name."""
