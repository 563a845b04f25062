"""The fully connected networks of the VAE (Kingma & Welling 2013, arXiv:1312.6114)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan_modules.networks.layers.blocks import check_sizes

__all__ = ["MLPEncoder"]


class MLPEncoder(nn.Module):
    """Image to a latent, or to a Gaussian over latents, through ReLU layers.

    Args:
        image_shape: ``(C, H, W)`` of the images, or any other shape.
        latent_dim: size of the latent vector.
        hidden: widths of the hidden layers.
        gaussian: give the mean and the logarithm of the variance of a Gaussian, as a VAE needs
            them; without it, one latent.

    Raises:
        ValueError: if a width is not positive.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int,
        hidden: Sequence[int] = (400,),
        gaussian: bool = True,
    ) -> None:
        super().__init__()
        check_sizes(hidden=hidden)
        self.gaussian = gaussian
        layers: list[nn.Module] = [nn.Flatten()]
        width = math.prod(image_shape)
        for features in hidden:
            layers += [nn.Linear(width, features), nn.ReLU()]
            width = features
        layers.append(nn.Linear(width, (1 + gaussian) * latent_dim))
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Map images ``(N, C, H, W)`` to codes ``(N, latent_dim)``, or means and log-variances."""
        outputs: Tensor = self.layers(images)
        if not self.gaussian:
            return outputs
        mean, log_variance = torch.chunk(outputs, 2, dim=1)
        return mean, log_variance
