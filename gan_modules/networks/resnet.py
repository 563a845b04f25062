"""The residual networks of WGAN-GP (Gulrajani et al. 2017, arXiv:1704.00028) for CIFAR-10."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from gan_modules.networks.layers.blocks import (
    ConvNorm,
    check_sizes,
    doublings,
    init_glorot,
    make_norm,
)
from gan_modules.networks.layers.class_heads import (
    ConditionedDiscriminator,
    Conditioning,
    labels_appended,
)
from gan_modules.networks.layers.conditional_batch_norm import ConditionedSequential
from gan_modules.networks.layers.conditioning import append_labels, require_labels
from gan_modules.networks.layers.minibatch_stddev import MinibatchStdDev
from gan_modules.networks.layers.resampling import DownsampleConv2d, UpsampleConv2d
from gan_modules.networks.layers.spectral import normalise_spectrally

__all__ = ["ResNetDiscriminator", "ResNetGenerator"]


HE = 2**0.5
"""Gain of the official code's form of He's initialisation, of variance ``4 / (fan_in + fan_out)``;
shortcuts and the generator's output layer have Glorot's."""


class _ResidualBlock(nn.Module):
    """Pre-activation residual block: norm, ReLU, 3x3, norm, ReLU, 3x3, plus a shortcut.

    A critic's first block (``first``) has no activation ahead of it: its input is the image. With
    classes, batch normalisation is conditional.
    """

    takes_labels = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm: ConvNorm,
        resample: Literal["up", "down", "none"],
        first: bool = False,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        up = [nn.Upsample(scale_factor=2)] if resample == "up" else []
        down = [nn.AvgPool2d(2)] if resample == "down" else []
        before = [] if first else [make_norm(norm, in_channels, num_classes), nn.ReLU()]
        self.residual = ConditionedSequential(
            *before,
            # holds the place of the upsampling, so that weights have the names they always had
            *(nn.Identity() for _ in up),
            init_glorot(UpsampleConv2d(in_channels, out_channels), HE)
            if resample == "up"
            else init_glorot(nn.Conv2d(in_channels, out_channels, 3, padding=1), HE),
            make_norm(norm, out_channels, num_classes),
            nn.ReLU(),
            init_glorot(DownsampleConv2d(out_channels, out_channels), HE)
            if resample == "down"
            else init_glorot(nn.Conv2d(out_channels, out_channels, 3, padding=1), HE),
        )
        shortcut: list[nn.Module] = []
        if resample != "none" or in_channels != out_channels:
            shortcut = [init_glorot(nn.Conv2d(in_channels, out_channels, 1))]
        # a 1x1 convolution commutes with both resamplings: it runs on the smaller map
        self.shortcut = nn.Sequential(*down, *shortcut, *up)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        out: Tensor = self.residual(x, labels) + self.shortcut(x)
        return out


class ResNetGenerator(nn.Module):
    """Latent to 4x4 map, then one upsampling residual block per doubling, then tanh.

    The paper's CIFAR-10 generator is ``width=128`` at 32x32.

    Args:
        image_shape: ``(C, H, W)``, squares of 8, 16, 32, ... pixels or as
            :func:`~gan_modules.networks.layers.blocks.doublings` takes them.
        latent_dim: size of the latent vector; 128 in the paper.
        num_classes: 0 for an unconditional network; otherwise labels are appended to the latent.
        width: channels of every block.
        norm: normalisation of the hidden layers; the paper's is ``"batch"``.
        spectral_norm: normalise every layer spectrally (arXiv:1802.05957).
        conditional_batch_norm: have classes choose the scales and shifts of the blocks'
            normalisations (:class:`ConditionalBatchNorm2d`), in the place of labels appended to
            the latent.

    Raises:
        ValueError: for any other image shape, if the width is not positive, or conditional batch
            normalisation is asked for with another norm.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int,
        num_classes: int = 0,
        width: int = 128,
        norm: ConvNorm = "batch",
        spectral_norm: bool = False,
        conditional_batch_norm: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(width=width)
        self.num_classes = num_classes
        self.appended = 0 if conditional_batch_norm else num_classes
        by_class = num_classes - self.appended
        times, rows, columns = doublings(image_shape, type(self).__name__)
        self.layers = ConditionedSequential(
            init_glorot(nn.Linear(latent_dim + self.appended, width * rows * columns)),
            nn.Unflatten(1, (width, rows, columns)),
            *(_ResidualBlock(width, width, norm, "up", num_classes=by_class) for _ in range(times)),
            make_norm(norm, width),
            nn.ReLU(),
            init_glorot(nn.Conv2d(width, image_shape[0], 3, padding=1)),
            nn.Tanh(),
        )
        if spectral_norm:
            normalise_spectrally(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents ``(N, latent_dim)`` to images ``(N, C, H, W)`` in [-1, 1]."""
        classes = require_labels(labels, self.num_classes)
        images: Tensor = self.layers(append_labels(z, classes, self.appended), classes)
        return images


class ResNetDiscriminator(ConditionedDiscriminator):
    """Downsampling residual blocks to 8x8, two more blocks, mean over the map, one logit.

    The paper's CIFAR-10 critic is ``width=128, norm="none"`` at 32x32; larger images take one
    more downsampling block per doubling.

    Args:
        image_shape: ``(C, H, W)``, squares of 8, 16, 32, ... pixels or as
            :func:`~gan_modules.networks.layers.blocks.doublings` takes them.
        num_classes: 0 for an unconditional network.
        width: channels of every block.
        norm: normalisation of every block but the first; ``"none"`` or ``"layer"`` in a WGAN-GP
            critic.
        spectral_norm: normalise every layer spectrally (arXiv:1802.05957).
        minibatch_stddev: images in a group of :class:`MinibatchStdDev`, ahead of the last block; 0
            for none.
        conditioning: how it meets classes, see :class:`ConditionedDiscriminator`.

    Raises:
        ValueError: for any other image shape or conditioning, or if the width is not positive.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int = 0,
        width: int = 128,
        norm: ConvNorm = "none",
        spectral_norm: bool = False,
        minibatch_stddev: int = 0,
        conditioning: Conditioning = "concat",
    ) -> None:
        super().__init__()
        check_sizes(width=width)
        inputs = image_shape[0] + labels_appended(conditioning, num_classes)
        halvings = max(1, doublings(image_shape, type(self).__name__).times - 1)
        self.layers = nn.Sequential(
            _ResidualBlock(inputs, width, "none", "down", first=True),
            *(_ResidualBlock(width, width, norm, "down") for _ in range(halvings - 1)),
            _ResidualBlock(width, width, norm, "none"),
            *([MinibatchStdDev(minibatch_stddev)] if minibatch_stddev else []),
            _ResidualBlock(width + bool(minibatch_stddev), width, norm, "none"),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            init_glorot(nn.Linear(width, 1)),
            nn.Flatten(0),
        )
        self.meet_classes(conditioning, num_classes, width)
        for layer in self.class_layers():
            init_glorot(layer)
        if spectral_norm:
            normalise_spectrally(self)
