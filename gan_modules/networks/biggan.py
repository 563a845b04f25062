"""The networks of BigGAN (Brock et al. 2018, arXiv:1809.11096), not those of BigGAN-deep."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan_modules.errors import require
from gan_modules.networks.layers.blocks import check_sizes
from gan_modules.networks.layers.conditional_batch_norm import VectorBatchNorm2d
from gan_modules.networks.layers.conditioning import embedded, require_labels
from gan_modules.networks.layers.residual import (
    ResidualDiscriminator,
    ResidualGenerator,
    residual_doublings,
)
from gan_modules.networks.layers.spectral import normalise_spectrally

__all__ = ["BigGANDiscriminator", "BigGANGenerator"]

LARGEST_ATTENTION = 64
"""Side of the maps with attention in the paper's networks for 128 and 256 pixels."""
EPS = 1e-6
"""Of spectral normalisation."""


def _initialise(network: nn.Module, spectral_norm: bool) -> None:
    """Orthogonal weights, biases at 0, then spectral normalisation."""
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear, nn.Embedding)):
            nn.init.orthogonal_(layer.weight)
            bias = getattr(layer, "bias", None)
            if bias is not None:
                nn.init.zeros_(bias)
    if spectral_norm:
        normalise_spectrally(network, EPS)


class BigGANGenerator(ResidualGenerator):
    """The latent in chunks, one for the smallest map and one for the normalisation of each block.

    With classes, every block's batch normalisation is scaled and shifted by linear maps of its
    chunk and an embedding of the class that all blocks share; without, of the chunk alone. One map
    has self-attention. Spectral normalisation of all layers but the embedding.

    Chunks have ``latent_dim // (blocks + 1)`` numbers, the first one all that are left. Weights are
    orthogonal, biases start at 0 (in the authors' code as torch has them).

    Args:
        image_shape: ``(C, H, W)``, squares of 8, 16, 32, ..., 512 pixels or as
            :func:`~gan_modules.networks.layers.blocks.doublings` takes them; the paper's
            squares are of 128, 256 and 512. S is the shorter side.
        latent_dim: size of the latent vector; 120 at 128 pixels, 140 at 256 in the paper.
        num_classes: 0 for an unconditional network.
        width: channels of the last block at 128 pixels; 96 in the paper.
        shared_dim: size of the shared embedding; 128 in the paper.
        attention: side of the map that has self-attention, 4, 8, ..., S / 2; None for 64, the
            paper's, or ``S / 2`` if that is smaller; 0 for none.
        spectral_norm: whether layers are spectrally normalised, as in the paper.

    Raises:
        ValueError: for any other image shape, a map that there is not, a size below 1, or a latent
            of fewer numbers than chunks.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int,
        num_classes: int = 0,
        width: int = 96,
        shared_dim: int = 128,
        attention: int | None = None,
        spectral_norm: bool = True,
    ) -> None:
        check_sizes(shared_dim=shared_dim)
        chunks = residual_doublings(image_shape, type(self).__name__).times + 1
        right = f"at least {chunks}, one number for each chunk"
        require(latent_dim >= chunks, "latent_dim", latent_dim, right)
        chunk = latent_dim // chunks
        first = latent_dim - chunk * (chunks - 1)
        condition = chunk + (shared_dim if num_classes else 0)
        super().__init__(
            image_shape,
            first,
            width,
            attention,
            LARGEST_ATTENTION,
            lambda channels: VectorBatchNorm2d(channels, condition),
        )
        self.num_classes = num_classes
        self.chunks = (first, *[chunk] * (chunks - 1))
        if num_classes:
            self.shared = nn.Embedding(num_classes, shared_dim)
        _initialise(self, spectral_norm)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents ``(N, latent_dim)`` to images ``(N, C, H, W)`` in [-1, 1]."""
        classes = require_labels(labels, self.num_classes)
        first, *conditions = z.split(self.chunks, dim=1)
        if classes is not None:
            shared = embedded(self.shared, classes)
            conditions = [torch.cat([shared, chunk], dim=1) for chunk in conditions]
        return self.draw(first, conditions)


class BigGANDiscriminator(ResidualDiscriminator):
    """Downsampling residual blocks, self-attention behind one, ReLU, SUM over the map, one logit.

    With classes, it is the projection discriminator (arXiv:1802.05637). Spectral normalisation of
    all layers, the embedding too; orthogonal weights, biases at 0 (in the authors' code as torch
    has them).

    Args:
        image_shape: ``(C, H, W)``, squares of 8, 16, 32, ..., 512 pixels or as
            :func:`~gan_modules.networks.layers.blocks.doublings` takes them; the paper's
            squares are of 128, 256 and 512. S is the shorter side.
        num_classes: 0 for an unconditional network.
        width: channels of the first block at 128 pixels; 96 in the paper.
        attention: side of the map that has self-attention, ``S / 2`` down to 4 (8 at 16 and 32
            pixels); None for 64, the paper's, or ``S / 2`` if that is smaller; 0 for none.
        spectral_norm: whether layers are spectrally normalised, as in the paper.

    Raises:
        ValueError: for any other image shape, a map that there is not, or a width below 1.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int = 0,
        width: int = 96,
        attention: int | None = None,
        spectral_norm: bool = True,
    ) -> None:
        super().__init__(image_shape, num_classes, width, attention, LARGEST_ATTENTION)
        _initialise(self, spectral_norm)
