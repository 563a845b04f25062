"""Every variant that the package exports, and a small version of each."""

import inspect
from functools import partial
from typing import Any

import torch
from torch.utils.data import DataLoader, TensorDataset

import gan_modules
from gan_modules import GANModule, NoiseGAN
from gan_modules.networks import (
    CycleGANGenerator,
    MLPDiscriminator,
    MLPGenerator,
    PatchGANDiscriminator,
)

VARIANTS = [
    variant
    for variant in (getattr(gan_modules, name) for name in gan_modules.__all__)
    if inspect.isclass(variant)
    and issubclass(variant, GANModule)
    and not inspect.isabstract(variant)
]
NOISE_VARIANTS = [variant for variant in VARIANTS if issubclass(variant, NoiseGAN)]


def small(variant: Any, **kwargs: Any) -> Any:
    """A variant with networks of one hidden layer, none of which mixes samples or drops units."""
    if issubclass(variant, NoiseGAN):
        networks: dict[str, Any] = {
            "generator": partial(MLPGenerator, hidden=(16,)),
            "discriminator": partial(MLPDiscriminator, hidden=(16,)),
            "latent_dim": 4,
            "num_classes": 10,
        }
    else:
        networks = {
            "generator": partial(CycleGANGenerator, width=2, n_blocks=1, n_downsampling=1),
            "discriminator": partial(PatchGANDiscriminator, width=2, n_layers=1),
        }
    return variant(**{**networks, **kwargs})


def batches(model: Any, size: int, n: int) -> DataLoader[Any]:
    """``n`` random images for the model's family, in batches of ``size`` per update."""
    generator = torch.Generator().manual_seed(1)
    first, second = torch.rand(2, n, *model.image_shape, generator=generator) * 2 - 1
    other = torch.arange(n) % 3 if isinstance(model, NoiseGAN) else second
    return DataLoader(TensorDataset(first, other), size * model.n_critic, drop_last=True)
