"""Papers of this collection whose generator does not learn: what is judged is given."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR

from gan_modules.families.noise import NoiseGAN
from gan_modules.lab.training import Source, draw
from gan_modules.models.gan import GAN
from gan_modules.models.wgan import WGAN
from gan_modules.models.wgan_gp import WGANGP
from gan_modules.networks import MLPDiscriminator
from gan_modules.training.batches import Batch
from gan_modules.training.range_watch import Range

__all__ = ["ClippedCritic", "Critic", "Discriminator", "Drawn"]


class Drawn(nn.Module):
    """A generator that is a distribution, whatever the latent."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source

    def forward(self, z: Tensor) -> Tensor:
        """As many points as latents, shape ``(N, D)``."""
        return draw(self.source, len(z))


class _Judge(NoiseGAN):
    """A model of one player, the discriminator; fakes are drawn from a distribution.

    Args:
        fake: makes the fakes.
        rate: learning rate of Adam, halved after 200 updates, a third after 400, and so on.
        hidden: widths of the discriminator's hidden layers.
        **kwargs: options of the paper.
    """

    players: ClassVar = {"discriminator": ("discriminator",)}
    averaged: ClassVar = ()

    def __init__(
        self,
        fake: Drawn,
        *,
        rate: float = 5e-3,
        hidden: Sequence[int] = (64, 64),
        **kwargs: Any,
    ) -> None:
        options: dict[str, Any] = {
            "image_shape": tuple(fake(torch.zeros(1, 1)).shape[1:]),
            "latent_dim": 1,
            "generator": fake,
            "discriminator": lambda image_shape: MLPDiscriminator(image_shape, hidden=hidden),
            "discriminator_optimizer": lambda p: Adam(p, lr=rate, betas=(0.5, 0.9)),
            # what is measured is where it settles
            "discriminator_scheduler": lambda o: LambdaLR(o, lambda step: 200 / (200 + step)),
        }
        super().__init__(**options | kwargs)

    def turns(self, parts: Sequence[Batch]) -> Sequence[tuple[str, Batch]]:
        """The discriminator's only."""
        return [("discriminator", part) for part in parts]

    @torch.no_grad()
    def at(self, points: Tensor) -> Tensor:
        """What is said of points ``(N, D)``, or of numbers ``(N,)``: logits or scores ``(N,)``."""
        return self.judge(points.reshape(len(points), -1).float()).logits

    def check_batch(self, batch: Batch) -> None:
        """Points may lie anywhere."""

    def ranges(self, batch: Batch) -> list[Range]:
        """Nothing is watched."""
        return []


class Discriminator(_Judge, GAN):
    """The discriminator of :class:`~gan_modules.GAN` between two distributions."""


class Critic(_Judge, WGANGP):
    """The critic of :class:`~gan_modules.WGANGP` between two distributions."""


class ClippedCritic(_Judge, WGAN):
    """The critic of :class:`~gan_modules.WGAN` between two distributions."""
