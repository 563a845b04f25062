"""The GAN of latent codes of Achlioptas et al. 2017 (arXiv:1707.02392): fully connected."""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from gan_modules.networks.layers.blocks import check_sizes
from gan_modules.networks.layers.conditioning import append_labels

__all__ = ["AEGANDiscriminator", "AEGANGenerator"]


def _hidden(width: int, hidden: Sequence[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for features in hidden:
        layers += [nn.Linear(width, features), nn.ReLU()]
        width = features
    return layers


class AEGANGenerator(nn.Module):
    """Latent to a code through ReLU layers.

    Deviation: the last layer is linear, where the official code has a ReLU: its codes are maxima
    over ReLUs, which are not negative; those of other autoencoders may be.

    Args:
        image_shape: ``(D,)``, the size of a code.
        latent_dim: size of the latent vector.
        num_classes: 0 for an unconditional network; otherwise labels are appended to the latent.
        hidden: widths of the hidden layers.

    Raises:
        ValueError: if a width is not positive.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int,
        num_classes: int = 0,
        hidden: Sequence[int] = (128,),
    ) -> None:
        super().__init__()
        check_sizes(hidden=hidden)
        self.num_classes = num_classes
        width = latent_dim + num_classes
        self.layers = nn.Sequential(
            *_hidden(width, hidden), nn.Linear([width, *hidden][-1], math.prod(image_shape))
        )

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents ``(N, latent_dim)`` to codes ``(N, D)``."""
        codes: Tensor = self.layers(append_labels(z, labels, self.num_classes))
        return codes


class AEGANDiscriminator(nn.Module):
    """Code to one score through ReLU layers.

    Args:
        image_shape: ``(D,)``, the size of a code.
        num_classes: 0 for an unconditional network; otherwise labels are appended to the code.
        hidden: widths of the hidden layers.

    Raises:
        ValueError: if a width is not positive.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int = 0,
        hidden: Sequence[int] = (256, 512),
    ) -> None:
        super().__init__()
        check_sizes(hidden=hidden)
        self.num_classes = num_classes
        width = math.prod(image_shape) + num_classes
        self.layers = nn.Sequential(*_hidden(width, hidden), nn.Linear([width, *hidden][-1], 1))

    def forward(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map codes ``(N, D)`` to scores ``(N,)``."""
        scores: Tensor = self.layers(append_labels(codes, labels, self.num_classes))
        return scores.squeeze(1)
