"""Papers of this collection whose generator learns, of points in [-1, 1]."""

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal
from torch.optim import Adam

from gan_modules.families.noise import NoiseGAN
from gan_modules.lab.training import Lab, fresh
from gan_modules.networks import MLPDiscriminator, MLPGenerator

__all__ = ["game", "modes", "near_modes", "ring"]

G = TypeVar("G", bound=NoiseGAN)


def game(
    lab: Lab,
    paper: type[G],
    *,
    dimension: int = 2,
    generator: Sequence[int] = (64, 64),
    discriminator: Sequence[int] = (64, 64),
    lr: float = 1e-3,
    **options: Any,
) -> G:
    """A GAN of small networks with normal latents, and Adam for both players.

    Args:
        lab: whose seed the first weights follow from.
        paper: a class of this collection.
        dimension: of the points.
        generator: widths of its hidden layers.
        discriminator: widths of its hidden layers.
        lr: learning rate.
        **options: of the paper; they come before what is chosen here.
    """
    chosen: dict[str, Any] = {
        "image_shape": (dimension,),
        "latent_dim": 2,
        "latent_distribution": "normal",
        "generator": lambda **sizes: MLPGenerator(hidden=generator, **sizes),
        "discriminator": lambda **sizes: MLPDiscriminator(hidden=discriminator, **sizes),
        "generator_optimizer": lambda p: Adam(p, lr=lr, betas=(0.5, 0.9)),
        "discriminator_optimizer": lambda p: Adam(p, lr=lr, betas=(0.5, 0.9)),
        # what is measured is the generator itself
        "ema_decay": 0.0,
    }
    return fresh(lab, lambda: paper(**chosen | options))


def modes(centers: Tensor, sigma: float) -> MixtureSameFamily:
    """Gaussians of equal weight around centres ``(K, D)``."""
    return MixtureSameFamily(
        Categorical(torch.ones(len(centers))),
        Independent(Normal(centers, torch.full_like(centers, sigma)), 1),
    )


def ring(n: int = 8, radius: float = 0.7) -> Tensor:
    """Centres on a circle, shape ``(n, 2)``."""
    angles = torch.arange(n) * (2 * math.pi / n)
    return radius * torch.stack([angles.cos(), angles.sin()], dim=1)


def near_modes(points: Tensor, centers: Tensor, sigma: float) -> Tensor:
    """The share of points within 3 sigma of each centre, shape ``(K,)``."""
    shares: Tensor = (torch.cdist(points, centers) <= 3 * sigma).float().mean(0)
    return shares
