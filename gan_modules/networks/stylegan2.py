"""The networks of StyleGAN2 (Karras et al. 2020, arXiv:1912.04958)."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from gan_modules.networks.layers.blocks import check_sizes, doubling_widths, doublings
from gan_modules.networks.layers.conditioning import one_hot, require_labels
from gan_modules.networks.layers.equalized import (
    EqualizedConv2d,
    EqualizedLinear,
    pixel_norm,
    scaled_leaky_relu,
)
from gan_modules.networks.layers.minibatch_stddev import MinibatchStdDev
from gan_modules.networks.layers.modulated import ModulatedConv2d
from gan_modules.networks.layers.smooth_resampling import Smoothing
from gan_modules.networks.layers.styled import StyledGenerator

__all__ = ["StyleGAN2Discriminator", "StyleGAN2Generator"]

MAPPING_RATE = 0.01


class _Mapping(nn.Module):
    """Fully connected layers from a normalised latent, and from a normalised class embedding."""

    def __init__(self, latent_dim: int, num_classes: int, dim: int, layers: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.embedding = EqualizedLinear(num_classes, dim) if num_classes else None
        sizes = [latent_dim + (dim if num_classes else 0), *[dim] * layers]
        self.layers = nn.ModuleList(
            EqualizedLinear(before, after, rate=MAPPING_RATE) for before, after in pairwise(sizes)
        )

    def forward(self, z: Tensor | None, labels: Tensor | None) -> Tensor:
        parts = [] if z is None else [pixel_norm(z)]
        if self.embedding is not None:
            classes = one_hot(labels, self.num_classes, self.embedding.weight.dtype)
            parts.append(pixel_norm(self.embedding(classes)))
        x = torch.cat(parts, dim=1)
        for layer in self.layers:
            x = scaled_leaky_relu(layer(x))
        return x


class _Layer(nn.Module):
    """Modulated 3x3 convolution, noise, bias, LeakyReLU.

    In training noise is drawn for every image; in evaluation it is the layer's own, so that a
    latent always has one image.
    """

    noise: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, size: Sequence[int], style_dim: int, up: bool
    ) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(in_channels, out_channels, 3, style_dim, up=up)
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(out_channels, 1, 1))
        self.register_buffer("noise", torch.randn(1, *size))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        x = self.conv(x, w)
        noise = self.noise.to(x.dtype)
        if self.training:
            shape = (len(x), *noise.shape)
            noise = torch.randn(shape, dtype=x.dtype, device=x.device)
        return scaled_leaky_relu(x + self.strength * noise + self.bias)


class _ToImage(nn.Module):
    """Modulated 1x1 convolution without demodulation, and bias."""

    def __init__(self, in_channels: int, channels: int, style_dim: int) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(in_channels, channels, 1, style_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        out: Tensor = self.conv(x, w) + self.bias
        return out


class _Synthesis(nn.Module):
    """A learned 4x4 map, two layers a size, and an image from each size, all summed."""

    def __init__(
        self, widths: Sequence[int], first: Sequence[int], channels: int, style_dim: int
    ) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.randn(widths[0], *first))
        layers, to_image, size = [], [], [*first]
        for before, width in zip([0, *widths[:-1]], widths, strict=True):
            if before:
                size = [2 * side for side in size]
                layers.append(_Layer(before, width, size, style_dim, up=True))
            layers.append(_Layer(width, width, size, style_dim, up=False))
            to_image.append(_ToImage(width, channels, style_dim))
        self.layers, self.to_image = nn.ModuleList(layers), nn.ModuleList(to_image)
        self.smoothing = Smoothing()

    def forward(self, ws: Tensor) -> Tensor:
        """Styles ``(N, 2 * sizes, style_dim)`` to images ``(N, C, H, W)``."""
        styles = ws.unbind(1)
        x = self.layers[0](self.constant.expand(ws.shape[0], -1, -1, -1), styles[0])
        images = self.to_image[0](x, styles[1])
        for number in range(1, len(self.to_image)):
            x = self.layers[2 * number - 1](x, styles[2 * number - 1])
            x = self.layers[2 * number](x, styles[2 * number])
            # an image has the style of the next size's first layer
            image = self.to_image[number](x, styles[2 * number + 1])
            images = self.smoothing.upsample(images) + image
        out: Tensor = images if self.training else images.clamp(-1, 1)
        return out


class StyleGAN2Generator(StyledGenerator):
    """Mapping network, modulated convolutions, noise in every layer, images summed over all sizes.

    The last layer is linear: in evaluation its images are clamped to [-1, 1], and noise is what
    belongs to each layer. Of a class, the embedding goes into the mapping network beside the
    latent, both normalised, as in StyleGAN2-ADA (arXiv:2006.06676).

    Args:
        image_shape: ``(C, H, W)``, squares of 8, 16, 32, ... pixels or as
            :func:`~gan_modules.networks.layers.blocks.doublings` takes them.
        latent_dim: size of the latent vector; 512 in the paper.
        num_classes: 0 for an unconditional network.
        style_dim: size of a style; 512 in the paper.
        mapping_layers: of the mapping network; 8 in the paper, 2 for CIFAR-10 in arXiv:2006.06676.
        channel_base: a map of S pixels has ``channel_base // S`` channels, 32768 in the paper,
        max_channels: but never more than that, 512 in the paper.

    Raises:
        ValueError: for any other image shape, or sizes that do not go with each other.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int,
        num_classes: int = 0,
        style_dim: int = 512,
        mapping_layers: int = 8,
        channel_base: int = 32768,
        max_channels: int = 512,
    ) -> None:
        check_sizes(style_dim=style_dim, mapping_layers=mapping_layers)
        widths = doubling_widths(image_shape, channel_base, max_channels, type(self).__name__)
        _, *first = doublings(image_shape, type(self).__name__)
        super().__init__(style_dim, 2 * len(widths))
        self.num_classes = num_classes
        self.map = _Mapping(latent_dim, num_classes, style_dim, mapping_layers)
        self.synthesis = _Synthesis(widths, first, image_shape[0], style_dim)

    def mapping(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Styles ``(N, style_dim)`` of latents ``(N, latent_dim)``."""
        w: Tensor = self.map(z, labels)
        return w


class _Block(nn.Module):
    """3x3, smoothed 3x3 of stride 2, beside a smoothed 1x1 shortcut if residual."""

    def __init__(self, in_channels: int, channels: int, residual: bool) -> None:
        super().__init__()
        self.conv1 = EqualizedConv2d(in_channels, in_channels, 3, padding=1)
        self.conv2 = EqualizedConv2d(in_channels, channels, 3, stride=2)
        self.shortcut = EqualizedConv2d(in_channels, channels, 1, bias=False) if residual else None
        self.smoothing = Smoothing()

    def forward(self, x: Tensor) -> Tensor:
        h = scaled_leaky_relu(self.conv1(x))
        h = scaled_leaky_relu(self.conv2(self.smoothing(h, padding=2)))
        if self.shortcut is None:
            return h
        out: Tensor = (h + self.shortcut(self.smoothing.downsample(x))) / math.sqrt(2)
        return out


class StyleGAN2Discriminator(nn.Module):
    """Residual blocks and halvings to 4x4, minibatch standard deviation, 3x3, two linear layers.

    With classes, the logit is the product of the last features with a mapped embedding of the
    class, the projection of StyleGAN2-ADA (arXiv:2006.06676).

    Args:
        image_shape: ``(C, H, W)``, squares of 8, 16, 32, ... pixels or as
            :func:`~gan_modules.networks.layers.blocks.doublings` takes them.
        num_classes: 0 for an unconditional network.
        channel_base: a map of S pixels has ``channel_base // S`` channels, 32768 in the paper,
        max_channels: but never more than that, 512 in the paper.
        group_size: of minibatch standard deviation; 4 in the paper, 32 for CIFAR-10 in
            arXiv:2006.06676.
        residual: whether blocks have shortcuts; not for CIFAR-10 there.
        mapping_layers: of the class's mapping network.

    Raises:
        ValueError: for any other image shape, or sizes that do not go with each other.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int = 0,
        channel_base: int = 32768,
        max_channels: int = 512,
        group_size: int = 4,
        residual: bool = True,
        mapping_layers: int = 8,
    ) -> None:
        super().__init__()
        check_sizes(mapping_layers=mapping_layers)
        widths = doubling_widths(image_shape, channel_base, max_channels, type(self).__name__)[::-1]
        self.num_classes = num_classes
        self.from_image = EqualizedConv2d(image_shape[0], widths[0], 1)
        self.blocks = nn.Sequential(*(_Block(a, b, residual) for a, b in pairwise(widths)))
        last = widths[-1]
        _, *first = doublings(image_shape, type(self).__name__)
        self.spread = MinibatchStdDev(group_size)
        self.conv = EqualizedConv2d(last + 1, last, 3, padding=1)
        self.linear = EqualizedLinear(last * math.prod(first), last)
        self.logits = EqualizedLinear(last, last if num_classes else 1)
        self.map = _Mapping(0, num_classes, last, mapping_layers) if num_classes else None

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images ``(N, C, H, W)`` to logits ``(N,)``."""
        x = self.blocks(scaled_leaky_relu(self.from_image(images)))
        x = scaled_leaky_relu(self.conv(self.spread(x)))
        features: Tensor = self.logits(scaled_leaky_relu(self.linear(x.flatten(1))))
        if self.map is None:
            return features.squeeze(1)
        classes = self.map(None, require_labels(labels, self.num_classes))
        logits: Tensor = (features * classes).sum(1) / math.sqrt(features.shape[1])
        return logits
