"""The networks of SAGAN (Zhang et al. 2018, arXiv:1805.08318)."""

from collections.abc import Sequence

from torch import Tensor, nn

from gan_modules.networks.layers.blocks import init_glorot
from gan_modules.networks.layers.conditional_batch_norm import ConditionalBatchNorm2d
from gan_modules.networks.layers.conditioning import require_labels
from gan_modules.networks.layers.residual import ResidualDiscriminator, ResidualGenerator
from gan_modules.networks.layers.spectral import normalise_spectrally

__all__ = ["SAGANDiscriminator", "SAGANGenerator"]

LARGEST_ATTENTION = 32
"""Side of the maps with attention in the paper's networks for 128 pixels."""


def _initialise(network: nn.Module, spectral_norm: bool) -> None:
    """Glorot's initialisation, then spectral normalisation."""
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            init_glorot(layer)
    if spectral_norm:
        normalise_spectrally(network)


class SAGANGenerator(ResidualGenerator):
    """Latent to small map, upsampling residual blocks with self-attention ahead of one, tanh.

    With classes, batch normalisation in the blocks is conditional. Channels are the paper's at 128
    pixels, BigGAN's (arXiv:1809.11096) at other sizes.

    Args:
        image_shape: ``(C, H, W)``, squares of 8, 16, 32, ..., 512 pixels or as
            :func:`~gan_modules.networks.layers.blocks.doublings` takes them; S is the
            shorter side.
        latent_dim: size of the latent vector; 128 in the paper.
        num_classes: 0 for an unconditional network.
        width: channels of the last block at 128 pixels; 64 in the paper.
        attention: side of the map that has self-attention, 4, 8, ..., S / 2; None for 32, the
            paper's, or ``S / 2`` if that is smaller; 0 for none.
        spectral_norm: whether layers are spectrally normalised, as in the paper.

    Raises:
        ValueError: for any other image shape, a map that there is not, or a width below 1.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int,
        num_classes: int = 0,
        width: int = 64,
        attention: int | None = None,
        spectral_norm: bool = True,
    ) -> None:
        super().__init__(
            image_shape,
            latent_dim,
            width,
            attention,
            LARGEST_ATTENTION,
            lambda channels: ConditionalBatchNorm2d(channels, num_classes),
        )
        self.num_classes = num_classes
        _initialise(self, spectral_norm)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents ``(N, latent_dim)`` to images ``(N, C, H, W)`` in [-1, 1]."""
        classes = require_labels(labels, self.num_classes)
        return self.draw(z, [classes] * len(self.blocks))


class SAGANDiscriminator(ResidualDiscriminator):
    """Downsampling residual blocks, self-attention behind one, ReLU, SUM over the map, one logit.

    With classes, it is the projection discriminator (arXiv:1802.05637). Channels are the paper's at
    128 pixels, BigGAN's (arXiv:1809.11096) at other sizes.

    Args:
        image_shape: ``(C, H, W)``, squares of 8, 16, 32, ..., 512 pixels or as
            :func:`~gan_modules.networks.layers.blocks.doublings` takes them; S is the
            shorter side.
        num_classes: 0 for an unconditional network.
        width: channels of the first block at 128 pixels; 64 in the paper.
        attention: side of the map that has self-attention, ``S / 2`` down to 4 (8 at 16 and 32
            pixels); None for 32, the paper's, or ``S / 2`` if that is smaller; 0 for none.
        spectral_norm: whether layers, the embedding too, are spectrally normalised, as in the
            paper.

    Raises:
        ValueError: for any other image shape, a map that there is not, or a width below 1.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int = 0,
        width: int = 64,
        attention: int | None = None,
        spectral_norm: bool = True,
    ) -> None:
        super().__init__(image_shape, num_classes, width, attention, LARGEST_ATTENTION)
        _initialise(self, spectral_norm)
