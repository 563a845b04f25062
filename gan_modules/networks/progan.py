"""The networks of progressive growing (Karras et al. 2018, arXiv:1710.10196)."""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from gan_modules.networks.layers.blocks import doubling_widths, doublings
from gan_modules.networks.layers.conditioning import append_labels, require_labels
from gan_modules.networks.layers.equalized import EqualizedConv2d, EqualizedLinear, pixel_norm
from gan_modules.networks.layers.growing import Growing, averaged, repeated
from gan_modules.networks.layers.minibatch_stddev import MinibatchStdDev

__all__ = ["ProGANDiscriminator", "ProGANGenerator"]

GAIN = math.sqrt(2)


def _conv(in_channels: int, channels: int) -> nn.Module:
    return EqualizedConv2d(in_channels, channels, 3, padding=1, gain=GAIN)


def _activate(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


class _Block(nn.Module):
    """Two 3x3 convolutions, under pixel normalisation in the generator."""

    def __init__(self, in_channels: int, between: int, channels: int, normalised: bool) -> None:
        super().__init__()
        self.conv1, self.conv2 = _conv(in_channels, between), _conv(between, channels)
        self.normalised = normalised

    def forward(self, x: Tensor) -> Tensor:
        for conv in (self.conv1, self.conv2):
            x = _activate(conv(x))
            x = pixel_norm(x) if self.normalised else x
        return x


class ProGANGenerator(Growing):
    """Doublings by repeated pixels, each with two 3x3 convolutions under pixel normalisation.

    Images always have the whole size: those of a smaller stage have each pixel several times. The
    last layer is linear: in evaluation its images are clamped to [-1, 1].

    Args:
        image_shape: ``(C, H, W)``, squares of 8, 16, 32, ... pixels or as
            :func:`~gan_modules.networks.layers.blocks.doublings` takes them.
        latent_dim: size of the latent vector; 512 in the paper.
        num_classes: 0 for an unconditional network; otherwise labels are appended to the latent.
        channel_base: a map of S pixels has ``channel_base // S`` channels, 16384 in the paper,
        max_channels: but never more than that, 512 in the paper.

    Raises:
        ValueError: for any other image shape, or sizes that do not go with each other.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int,
        num_classes: int = 0,
        channel_base: int = 16384,
        max_channels: int = 512,
    ) -> None:
        widths = doubling_widths(image_shape, channel_base, max_channels, type(self).__name__)
        super().__init__(len(widths))
        self.num_classes = num_classes
        _, *self.first = doublings(image_shape, type(self).__name__)
        features = widths[0] * math.prod(self.first)
        self.linear = EqualizedLinear(latent_dim + num_classes, features, gain=GAIN / 4)
        self.conv = _conv(widths[0], widths[0])
        self.blocks = nn.ModuleList(
            _Block(before, width, width, normalised=True) for before, width in pairwise(widths)
        )
        self.to_image = nn.ModuleList(EqualizedConv2d(c, image_shape[0], 1) for c in widths)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents ``(N, latent_dim)`` to images ``(N, C, H, W)``."""
        x = self.linear(pixel_norm(append_labels(z, labels, self.num_classes)))
        x = pixel_norm(_activate(x.unflatten(1, (-1, *self.first))))
        before = x = pixel_norm(_activate(self.conv(x)))
        for number in range(self.stage):
            before, x = x, self.blocks[number](repeated(x, 2))
        images = self.to_image[self.stage](x)
        if self.stage:
            images = self.faded(repeated(self.to_image[self.stage - 1](before), 2), images)
        images = repeated(images, self.factor)
        out: Tensor = images if self.training else images.clamp(-1, 1)
        return out


class ProGANDiscriminator(Growing):
    """Two 3x3 convolutions a size and halvings by means, minibatch standard deviation at 4x4.

    Images always have the whole size: a smaller stage averages their pixels. With classes, the
    score of the image's class is taken of one for each.

    Args:
        image_shape: ``(C, H, W)``, squares of 8, 16, 32, ... pixels or as
            :func:`~gan_modules.networks.layers.blocks.doublings` takes them.
        num_classes: 0 for an unconditional network.
        channel_base: a map of S pixels has ``channel_base // S`` channels, 16384 in the paper,
        max_channels: but never more than that, 512 in the paper.
        group_size: of minibatch standard deviation; 4 in the paper.

    Raises:
        ValueError: for any other image shape, or sizes that do not go with each other.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int = 0,
        channel_base: int = 16384,
        max_channels: int = 512,
        group_size: int = 4,
    ) -> None:
        widths = doubling_widths(image_shape, channel_base, max_channels, type(self).__name__)
        super().__init__(len(widths))
        self.num_classes = num_classes
        last = widths[0]
        _, *first = doublings(image_shape, type(self).__name__)
        channels = image_shape[0]
        self.from_image = nn.ModuleList(EqualizedConv2d(channels, c, 1, gain=GAIN) for c in widths)
        self.blocks = nn.ModuleList(
            _Block(width, width, after, normalised=False) for after, width in pairwise(widths)
        )
        self.spread = MinibatchStdDev(group_size)
        self.conv = _conv(last + 1, last)
        self.linear = EqualizedLinear(last * math.prod(first), last, gain=GAIN)
        self.logits = EqualizedLinear(last, num_classes or 1)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images ``(N, C, H, W)`` to scores ``(N,)``."""
        images = averaged(images, self.factor)
        x = _activate(self.from_image[self.stage](images))
        for number in reversed(range(self.stage)):
            x = averaged(self.blocks[number](x), 2)
            if number == self.stage - 1:
                smaller = self.from_image[number](averaged(images, 2))
                x = self.faded(_activate(smaller), x)
        x = _activate(self.conv(self.spread(x)))
        scores: Tensor = self.logits(_activate(self.linear(x.flatten(1))))
        classes = require_labels(labels, self.num_classes)
        if classes is None:
            return scores.squeeze(1)
        return scores.gather(1, classes.long()[:, None]).squeeze(1)
