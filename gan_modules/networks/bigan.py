"""The fully connected networks of BiGAN (Donahue et al. 2016, arXiv:1605.09782) for MNIST."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan_modules.errors import require
from gan_modules.networks.layers.blocks import check_sizes
from gan_modules.networks.layers.conditioning import append_labels

__all__ = ["BiGANDiscriminator", "BiGANEncoder"]


def _hidden(width: int, hidden: Sequence[int], batch_norm: bool) -> list[nn.Module]:
    """LeakyReLU(0.2) layers, all but the first of them normalised."""
    layers: list[nn.Module] = []
    for number, features in enumerate(hidden):
        layers.append(nn.Linear(width, features))
        if batch_norm and number:
            layers.append(nn.BatchNorm1d(features))
        layers.append(nn.LeakyReLU(0.2))
        width = features
    return layers


class BiGANEncoder(nn.Module):
    """Image to a latent through LeakyReLU layers; ALI's (arXiv:1606.00704) to a Gaussian over them.

    Args:
        image_shape: ``(C, H, W)`` of the images, or any other shape.
        latent_dim: size of the latent vector.
        hidden: widths of the hidden layers.
        gaussian: give means and logarithms of variances, from which latents are drawn.
        batch_norm: normalise every hidden layer but the first over the batch.
        code_std: normalise codes over the batch to mean 0 and this standard deviation, that of the
            latents, as the official code does: 3 ** -0.5 for uniform ones. A discriminator with
            batch normalisation hardly sees the scale of the codes.

    Raises:
        ValueError: if a width or ``code_std`` is not positive, or codes are to be normalised that
            are drawn from a Gaussian.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int,
        hidden: Sequence[int] = (1024, 1024),
        gaussian: bool = False,
        batch_norm: bool = True,
        code_std: float | None = None,
    ) -> None:
        super().__init__()
        check_sizes(hidden=hidden)
        if code_std is not None:
            require(0 < code_std < math.inf, "code_std", code_std, "positive and finite")
            require(not gaussian, "code_std", code_std, "left out with gaussian=True")
        self.gaussian, self.code_std = gaussian, code_std
        width = math.prod(image_shape)
        self.layers = nn.Sequential(
            nn.Flatten(),
            *_hidden(width, hidden, batch_norm),
            nn.Linear([width, *hidden][-1], (1 + gaussian) * latent_dim),
        )
        if code_std is not None:
            self.layers.append(nn.BatchNorm1d(latent_dim, affine=False))

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Map images ``(N, C, H, W)`` to codes ``(N, latent_dim)``, or means and log-variances."""
        outputs: Tensor = self.layers(images)
        if not self.gaussian:
            return outputs if self.code_std is None else self.code_std * outputs
        mean, log_variance = torch.chunk(outputs, 2, dim=1)
        return mean, log_variance


class BiGANDiscriminator(nn.Module):
    """Image and latent to one logit through LeakyReLU layers.

    Args:
        image_shape: ``(C, H, W)`` of the images, or any other shape.
        latent_dim: size of the latent vector.
        num_classes: 0 for an unconditional network; otherwise labels are appended.
        hidden: widths of the hidden layers.
        batch_norm: normalise every hidden layer but the first over the batch.

    Raises:
        ValueError: if a width is not positive.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int,
        num_classes: int = 0,
        hidden: Sequence[int] = (1024, 1024),
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        check_sizes(hidden=hidden)
        self.num_classes = num_classes
        width = math.prod(image_shape) + latent_dim + num_classes
        self.layers = nn.Sequential(
            *_hidden(width, hidden, batch_norm), nn.Linear([width, *hidden][-1], 1)
        )

    def forward(self, images: Tensor, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images ``(N, C, H, W)`` and latents ``(N, latent_dim)`` to logits ``(N,)``."""
        pairs = torch.cat([images.flatten(1), z], dim=1)
        logits: Tensor = self.layers(append_labels(pairs, labels, self.num_classes))
        return logits.squeeze(1)
