"""The fully connected networks of the VAE (Kingma & Welling 2013, arXiv:1312.6114)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan_modules.networks.layers.blocks import check_sizes

__all__ = ["MLPEncoder"]


class MLPEncoder(nn.Module):
    """Image to the mean and the logarithm of the variance of a Gaussian, through ReLU layers.

    Args:
        image_shape: ``(C, H, W)`` of the images, or ``(D,)`` for points.
        latent_dim: size of the latent vector.
        hidden: widths of the hidden layers.

    Raises:
        ValueError: if a width is not positive.
    """

    def __init__(
        self, image_shape: Sequence[int], latent_dim: int, hidden: Sequence[int] = (400,)
    ) -> None:
        super().__init__()
        check_sizes(hidden=hidden)
        layers: list[nn.Module] = [nn.Flatten()]
        width = math.prod(image_shape)
        for features in hidden:
            layers += [nn.Linear(width, features), nn.ReLU()]
            width = features
        layers.append(nn.Linear(width, 2 * latent_dim))
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map images ``(N, C, H, W)`` to means and log-variances, each ``(N, latent_dim)``."""
        mean, log_variance = torch.chunk(self.layers(images), 2, dim=1)
        return mean, log_variance
