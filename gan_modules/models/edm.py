"""EDM: the design space of diffusion models (Karras et al. 2022, arXiv:2206.00364)."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from gan_modules.errors import require
from gan_modules.families.diffusion import DiffusionModel
from gan_modules.networks.diffusion import HeunGenerator, Preconditioned
from gan_modules.training.batches import Batch
from gan_modules.training.optimizers import adam
from gan_modules.training.players import OptimizerFactory, PlayerOptions, SchedulerFactory

__all__ = ["EDM"]


class EDM(DiffusionModel):
    """One player: a network learns to remove noise of any level, and images come of noise alone.

    The paper's preconditioning, distribution of noise levels and weights, with which the loss is
    about as large at every level; what is sampled is Heun's solution of the probability flow ODE
    over the paper's noise levels. It is deterministic: a latent is the noise, of an image's size,
    and its image is the same each time. :class:`DMD2` makes a generator of one step of it.

    The default network is a U-Net of a million weights, for small images; ``DiffusersUNet`` makes
    one of a U-Net of Hugging Face's diffusers.

    Deviations: no augmentation of its own, no stochastic sampler; squared errors are means over
    pixels, where the paper has sums; the average's decay is a constant unless ``ema_half_life``
    and ``ema_ramp`` are given; samples are clamped to [-1, 1].

    Args:
        steps: noise levels in sampling, two calls of the network for each but the last; 18 for
            CIFAR-10.
        noise_mean: mean of ``ln(sigma)`` in training.
        noise_std: standard deviation of it.
        denoiser_optimizer: called with the network's parameters; the paper's is Adam with 1e-3.
        denoiser_scheduler: called with the optimizer; stepped once per iteration.
        denoiser_gradient_clip_val: largest norm of the gradient.
        denoiser_accumulate_grad_batches: compute each update in that many equal pieces.
        **kwargs: options of :class:`DiffusionModel`.

    Raises:
        ValueError: if an option is out of its range or the network does not fit the images.
    """

    players: ClassVar = {"denoiser": ("generator",)}

    generator: HeunGenerator

    def __init__(
        self,
        *,
        steps: int = 18,
        noise_mean: float = -1.2,
        noise_std: float = 1.2,
        denoiser_optimizer: OptimizerFactory = adam,
        denoiser_scheduler: SchedulerFactory | None = None,
        denoiser_gradient_clip_val: float | None = None,
        denoiser_accumulate_grad_batches: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        require(math.isfinite(noise_mean), "noise_mean", noise_mean, "finite")
        require(0 <= noise_std < math.inf, "noise_std", noise_std, "at least 0 and finite")
        self.sigmas = self.karras_sigmas(steps)
        self.noise_mean, self.noise_std = noise_mean, noise_std
        self.play(
            denoiser=PlayerOptions(
                denoiser_optimizer,
                denoiser_scheduler,
                denoiser_gradient_clip_val,
                denoiser_accumulate_grad_batches,
            )
        )

    def build_networks(self) -> None:
        """The network that was passed, or the default one, and the sampler around it."""
        denoiser = Preconditioned(self.new_generator(), self.sigma_data)
        self.generator = HeunGenerator(denoiser, self.image_shape, self.sigmas)
        self._given.clear()

    def turns(self, parts: Sequence[Batch]) -> Sequence[tuple[str, Batch]]:
        """One update."""
        return [("denoiser", parts[-1])]

    def denoiser_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``E[weight(sigma) (D(x + n; sigma) - x)^2]``, see ``loss_weight``."""
        images, labels = batch
        normal = torch.randn(len(images), device=images.device, dtype=images.dtype)
        sigma = (self.noise_mean + self.noise_std * normal).exp()
        error = self.denoising_error(self.generator.denoiser, images, sigma, labels)
        return {"denoising": (loss_weight(sigma, self.sigma_data) * error).mean()}


def loss_weight(sigma: Tensor, sigma_data: float) -> Tensor:
    """``(sigma^2 + sigma_data^2) / (sigma sigma_data)^2``: the inverse of ``c_out^2``."""
    return (sigma.square() + sigma_data**2) / (sigma * sigma_data).square()
