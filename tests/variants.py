"""Every variant that the package exports, and a small version of each."""

import inspect
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

import gan_modules
from gan_modules import GANModule, InfoGAN, NoiseGAN
from gan_modules.networks import (
    CycleGANGenerator,
    MLPDiscriminator,
    MLPGenerator,
    PatchGANDiscriminator,
)
from gan_modules.networks.layers.conditioning import append_labels

VARIANTS = [
    variant
    for variant in (getattr(gan_modules, name) for name in gan_modules.__all__)
    if inspect.isclass(variant)
    and issubclass(variant, GANModule)
    and not inspect.isabstract(variant)
]
NOISE_VARIANTS = [variant for variant in VARIANTS if issubclass(variant, NoiseGAN)]


class FeatureDiscriminator(MLPDiscriminator):
    """Gives the features of its last hidden layer, too."""

    def __init__(self, image_shape: Any, num_classes: int = 0, hidden: Any = (16,)) -> None:
        super().__init__(image_shape, num_classes, hidden)
        self.num_features = hidden[-1]

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Any:  # type: ignore[override]
        x = append_labels(images.flatten(1), labels, self.num_classes)
        features = self.layers[:-1](x)
        return self.layers[-1](features).squeeze(1), features


class Recognizer(torch.nn.Linear):
    def __init__(self, num_features: int, num_outputs: int) -> None:
        super().__init__(num_features, num_outputs)


def small(variant: Any, **kwargs: Any) -> Any:
    """A variant with networks of one hidden layer, none of which mixes samples or drops units."""
    if issubclass(variant, NoiseGAN):
        networks: dict[str, Any] = {
            "generator": partial(MLPGenerator, hidden=(16,)),
            "discriminator": partial(MLPDiscriminator, hidden=(16,)),
            "latent_dim": 4,
            "num_classes": 10,
        }
        if issubclass(variant, InfoGAN):
            networks |= {"discriminator": FeatureDiscriminator, "recognizer": Recognizer}
            networks |= {"latent_dim": 8, "categorical": (3,), "continuous": 1}
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
