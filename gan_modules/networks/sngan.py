"""The residual networks of SNGAN (1802.05957) and of the projection discriminator (1802.05637)."""

import math
from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from gan_modules.networks.judgement import Judgement
from gan_modules.networks.layers.blocks import check_sizes, doublings, init_glorot
from gan_modules.networks.layers.class_heads import (
    ConditionedDiscriminator,
    Conditioning,
    labels_appended,
)
from gan_modules.networks.layers.conditional_batch_norm import ConditionalBatchNorm2d
from gan_modules.networks.layers.conditioning import append_labels, require_labels
from gan_modules.networks.layers.residual import DiscriminatorBlock, GeneratorBlock
from gan_modules.networks.layers.spectral import normalise_spectrally

__all__ = ["SNGANDiscriminator", "SNGANGenerator"]


HE = 2**0.5
"""Gain of the blocks' 3x3 convolutions."""


def _initialise(network: nn.Module, spectral_norm: bool) -> None:
    """Glorot's initialisation, with a gain in the blocks, then spectral normalisation."""
    for name, layer in network.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            init_glorot(layer, HE if name.endswith((".conv1", ".conv2")) else 1.0)
    if spectral_norm:
        normalise_spectrally(network)


class SNGANGenerator(nn.Module):
    """Latent to 4x4 map, then one upsampling residual block per doubling, norm, ReLU, tanh.

    Args:
        image_shape: ``(C, H, W)``, squares of 8, 16, 32, ... pixels or as
            :func:`~gan_modules.networks.layers.blocks.doublings` takes them.
        latent_dim: size of the latent vector; 128 in the paper.
        num_classes: 0 for an unconditional network; otherwise batch normalisation is conditional.
        width: channels of every block; 256 at 32 pixels in the paper.
        spectral_norm: normalise every layer spectrally, which the paper does not.

    Raises:
        ValueError: for any other image shape, or if the width is not positive.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int,
        num_classes: int = 0,
        width: int = 256,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(width=width)
        self.num_classes, self.width = num_classes, width
        times, *self.first = doublings(image_shape, type(self).__name__)
        norm = partial(ConditionalBatchNorm2d, num_classes=num_classes)
        self.linear = nn.Linear(latent_dim, width * math.prod(self.first))
        self.blocks = nn.ModuleList(GeneratorBlock(width, width, norm) for _ in range(times))
        self.norm = nn.BatchNorm2d(width)
        self.conv = nn.Conv2d(width, image_shape[0], 3, padding=1)
        _initialise(self, spectral_norm)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents ``(N, latent_dim)`` to images ``(N, C, H, W)`` in [-1, 1]."""
        classes = require_labels(labels, self.num_classes)
        x = self.linear(z).unflatten(1, (self.width, *self.first))
        for block in self.blocks:
            x = block(x, classes)
        images: Tensor = self.conv(self.norm(x).relu()).tanh()
        return images


class SNGANDiscriminator(ConditionedDiscriminator):
    """Downsampling residual blocks to 8x8, two more, ReLU, SUM over the map, one logit.

    With classes, by default, the logit is ``psi(phi(x)) + <embedding(y), phi(x)>``: the projection
    discriminator. Spectral normalisation of every layer, the embedding too, with one power
    iteration per forward pass in training.

    Args:
        image_shape: ``(C, H, W)``, squares of 8, 16, 32, ... pixels or as
            :func:`~gan_modules.networks.layers.blocks.doublings` takes them.
        num_classes: 0 for an unconditional network.
        width: channels of every block; 128 at 32 pixels in the paper.
        spectral_norm: whether layers are spectrally normalised.
        conditioning: how it meets classes, see :class:`ConditionedDiscriminator`.

    Raises:
        ValueError: for any other image shape or conditioning, or if the width is not positive.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int = 0,
        width: int = 128,
        spectral_norm: bool = True,
        conditioning: Conditioning = "projection",
    ) -> None:
        super().__init__()
        check_sizes(width=width)
        inputs = image_shape[0] + labels_appended(conditioning, num_classes)
        halvings = max(1, doublings(image_shape, type(self).__name__).times - 1)
        self.blocks = nn.Sequential(
            DiscriminatorBlock(inputs, width, first=True, halves=True),
            *(
                DiscriminatorBlock(width, width, first=False, halves=True)
                for _ in range(halvings - 1)
            ),
            *(DiscriminatorBlock(width, width, first=False, halves=False) for _ in range(2)),
        )
        self.linear = nn.Linear(width, 1)
        self.meet_classes(conditioning, num_classes, width)
        _initialise(self, spectral_norm)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor | Judgement:
        """Map images ``(N, C, H, W)`` to logits ``(N,)``; ``"ac"`` gives logits of classes, too."""
        phi = self.blocks(append_labels(images, labels, self.appended)).relu().sum((2, 3))
        return self.conclude(self.linear(phi).squeeze(1), phi, labels)
