"""Denoisers as Karras et al. 2022 (arXiv:2206.00364) precondition them, and what they generate."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gan_modules.errors import require

__all__ = ["HeunGenerator", "Preconditioned", "StepGenerator", "karras_sigmas", "over_pixels"]


def over_pixels(values: Tensor, images: Tensor) -> Tensor:
    """One value per image, ``(N,)``, as what is multiplied with images ``(N, ...)``."""
    return values.reshape(-1, *(1,) * (images.ndim - 1))


def karras_sigmas(
    steps: int, sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0
) -> list[float]:
    """Noise levels from the highest to the lowest, evenly spaced in ``sigma ** (1 / rho)``.

    Equation 5 of the paper, without the 0 at its end.

    Raises:
        ValueError: if an option is out of its range.
    """
    require(steps >= 1, "steps", steps, "at least 1")
    require(sigma_min > 0, "sigma_min", sigma_min, "positive")
    require(sigma_max > sigma_min, "sigma_max", sigma_max, f"above sigma_min={sigma_min}")
    require(rho > 0, "rho", rho, "positive")
    first, last = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return [float((first + i / max(1, steps - 1) * (last - first)) ** rho) for i in range(steps)]


class Preconditioned(nn.Module):
    """``D(x; sigma)``, which removes noise of any level, of a network that sees unit variance.

    ``D = c_skip x + c_out F(c_in x, c_noise)``, table 1 of the paper, column "ours".

    Args:
        network: F, called with scaled images, ``ln(sigma) / 4`` and, if conditional, labels.
        sigma_data: standard deviation of the data.
    """

    def __init__(self, network: nn.Module, sigma_data: float = 0.5) -> None:
        super().__init__()
        self.network: Any = network
        self.sigma_data = sigma_data

    def forward(self, x: Tensor, sigma: Tensor, *labels: Tensor) -> Tensor:
        """Denoise images ``(N, C, H, W)`` that have noise of levels ``(N,)``."""
        level = over_pixels(sigma, x)
        variance = level.square() + self.sigma_data**2
        c_skip = self.sigma_data**2 / variance
        c_out = level * self.sigma_data * variance.rsqrt()
        outputs = self.network(variance.rsqrt() * x, sigma.log() / 4, *labels)
        # autocast may leave it in half precision, of which c_out would magnify the rounding
        denoised: Tensor = c_skip * x + c_out * outputs.to(x.dtype)
        return denoised

    def features(self, x: Tensor, sigma: Tensor, *labels: Tensor) -> Tensor:
        """The network's features ``(N, num_features)`` of images with noise."""
        scale = (over_pixels(sigma, x).square() + self.sigma_data**2).rsqrt()
        found: Tensor = self.network.features(scale * x, sigma.log() / 4, *labels)
        return found


class HeunGenerator(nn.Module):
    """Noise to image by the deterministic sampler of the paper, algorithm 1: Heun's second order.

    Args:
        denoiser: what removes noise.
        image_shape: of the images.
        sigmas: noise levels, falling; a last step goes to 0.
    """

    def __init__(
        self, denoiser: Preconditioned, image_shape: Sequence[int], sigmas: Sequence[float]
    ) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.image_shape, self.sigmas = tuple(image_shape), tuple(sigmas)

    def solve(self, x: Tensor, *labels: Tensor) -> Tensor:
        """From images at the first level to images without noise, as they come."""
        for sigma, following in zip(self.sigmas, (*self.sigmas[1:], 0.0), strict=True):
            slope = self._slope(x, sigma, *labels)
            euler = x + (following - sigma) * slope
            if following:
                slope = (slope + self._slope(euler, following, *labels)) / 2
                euler = x + (following - sigma) * slope
            x = euler
        return x

    def _slope(self, x: Tensor, sigma: float, *labels: Tensor) -> Tensor:
        """``dx / dsigma``."""
        denoised: Tensor = self.denoiser(x, x.new_full(x.shape[:1], sigma), *labels)
        return (x - denoised) / sigma

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents ``(N, C * H * W)``, the noise, to images ``(N, C, H, W)`` in [-1, 1]."""
        noise = z.unflatten(1, self.image_shape)
        return self.solve(self.sigmas[0] * noise, *_given(labels)).clamp(-1, 1)


class StepGenerator(nn.Module):
    """Noise to image in few steps: denoise, add noise of the next level, denoise again.

    Args:
        denoiser: what removes noise, at these levels.
        image_shape: of the images.
        sigmas: noise levels, falling, one for each step.
    """

    def __init__(
        self, denoiser: Preconditioned, image_shape: Sequence[int], sigmas: Sequence[float]
    ) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.image_shape = tuple(image_shape)
        self.register_buffer("sigmas", torch.tensor([*sigmas]), persistent=False)

    sigmas: Tensor

    def step(self, x: Tensor, number: int, *labels: Tensor) -> Tensor:
        """Denoise images with noise of that step's level."""
        denoised: Tensor = self.denoiser(x, self.sigmas[number].expand(x.shape[:1]), *labels)
        return denoised

    def inputs(self, z: Tensor, *labels: Tensor) -> list[Tensor]:
        """What each step is given, of the latents of :meth:`forward`."""
        noises = z.unflatten(1, (len(self.sigmas), *self.image_shape)).unbind(1)
        given = [self.sigmas[0] * noises[0]]
        for number, noise in enumerate(noises[1:], 1):
            denoised = self.step(given[-1], number - 1, *labels)
            given.append(denoised + self.sigmas[number] * noise)
        return given

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents ``(N, steps * C * H * W)``, all noise, to images ``(N, C, H, W)``."""
        last = self.inputs(z, *_given(labels))[-1]
        return self.step(last, len(self.sigmas) - 1, *_given(labels)).clamp(-1, 1)


def _given(labels: Tensor | None) -> tuple[Tensor, ...]:
    return () if labels is None else (labels,)
