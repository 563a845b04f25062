"""Models that make images by removing noise."""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from gan_modules.errors import require
from gan_modules.families.factories import build
from gan_modules.families.latent_model import LatentModel
from gan_modules.networks.denoiser import MLPDenoiser, UNetDenoiser
from gan_modules.networks.diffusion import Preconditioned, karras_sigmas, over_pixels
from gan_modules.training.batches import is_shape
from gan_modules.training.fitting import Check, check_fakes

__all__ = ["DenoiserFactory", "DiffusionModel"]


class DenoiserFactory(Protocol):
    """A class or function that builds a denoiser; ``num_classes`` is passed if conditional."""

    def __call__(self, *, image_shape: tuple[int, ...], num_classes: int = 0) -> nn.Module:
        """Build it."""
        ...


class DiffusionModel(LatentModel):
    """A model that makes images by removing noise; its latents are the noise.

    A network is called as ``network(x, level)`` or ``network(x, level, labels)`` with scaled images
    and the noise level, ``ln(sigma) / 4``. What DMD2 distils has ``features(x, level)``, too,
    ``(N, num_features)``, and ``num_features``.

    Args:
        image_shape: ``(C, H, W)`` of the images, ``(C, L)`` of sequences, or ``(D,)`` for points;
            from the command line it comes with the data.
        generator: a network that denoises, or a class or function that builds one, in place of the
            default one: a small U-Net, fully connected layers for all else.
        sigma_data: standard deviation of the data; 0.5 in the paper.
        sigma_min: the lowest noise level.
        sigma_max: the highest.
        rho: how much closer noise levels are to each other where they are low.
        **kwargs: options of :class:`GenerativeModule`, and ``num_classes`` and ``conditional``.

    Raises:
        ValueError: if an option is out of its range or a network does not fit ``image_shape``.
    """

    def __init__(
        self,
        *,
        image_shape: Sequence[int],
        generator: DenoiserFactory | None = None,
        sigma_data: float = 0.5,
        sigma_min: float = 0.002,
        sigma_max: float = 80.0,
        rho: float = 7.0,
        **kwargs: Any,
    ) -> None:
        # a shape that is none is refused right there
        size = math.prod(image_shape) if is_shape(image_shape, (1, 2, 3)) else 1
        super().__init__(
            image_shape=image_shape, latent_dim=size, latent_distribution="normal", **kwargs
        )
        require(0 < sigma_data < math.inf, "sigma_data", sigma_data, "positive and finite")
        self.sigma_data, self.sigma_max = sigma_data, sigma_max
        self._range = (sigma_min, sigma_max, rho)
        self.karras_sigmas(1)  # refuses what is out of range
        self._given["generator"] = generator

    def karras_sigmas(self, steps: int) -> list[float]:
        """That many noise levels, from the highest to the lowest."""
        return karras_sigmas(steps, *self._range)

    def build_generator(self) -> nn.Module:
        """A small U-Net, fully connected layers for all but images."""
        network = UNetDenoiser if len(self.image_shape) == 3 else MLPDenoiser
        return network(self.image_shape, self.num_classes)

    def new_generator(self) -> nn.Module:
        """A network that denoises: what was passed, what it builds, or the default one."""
        classes = {"num_classes": self.num_classes} if self.num_classes else {}
        return build(
            "generator",
            self._given["generator"],
            self.build_generator,
            image_shape=self.image_shape,
            **classes,
        )

    def denoising_error(
        self, denoiser: nn.Module, images: Tensor, sigma: Tensor, labels: Tensor | None
    ) -> Tensor:
        """``(D(x + n; sigma) - x)^2`` with n of N(0, sigma^2), mean over pixels, ``(N,)``."""
        noisy = images + over_pixels(sigma, images) * torch.randn_like(images)
        denoised: Tensor = denoiser(noisy, sigma, *self.condition(labels))
        return (denoised - images).square().flatten(1).mean(1)

    def checks(self, images: Tensor) -> dict[str, tuple[nn.Module, Check]]:
        """The network gives what has the images' shape."""
        denoiser = self.generator.denoiser
        assert isinstance(denoiser, Preconditioned)
        return {"generator": (denoiser.network, check_fakes(images))}
