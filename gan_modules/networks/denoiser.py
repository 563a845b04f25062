"""Networks that denoise: called with a scaled image and a number that tells the noise level."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_modules.errors import require
from gan_modules.networks.layers.blocks import check_sizes
from gan_modules.networks.layers.conditioning import one_hot

__all__ = ["DenoiserHead", "MLPDenoiser", "UNetDenoiser"]


class NoiseEmbedding(nn.Module):
    """A vector for each noise level and, if there are classes, each class.

    Sines and cosines of the level, whose periods go from 8 down to 1/8: ``ln(sigma) / 4`` lies
    between -1.6 and 1.1.

    Args:
        width: of the vector.
        num_classes: 0 for none.
        frequencies: of the sines and cosines.
    """

    def __init__(self, width: int, num_classes: int = 0, frequencies: int = 16) -> None:
        super().__init__()
        periods = torch.logspace(3, -3, frequencies, base=2)
        self.register_buffer("angular", 2 * math.pi / periods, persistent=False)
        self.num_classes = num_classes
        self.first = nn.Linear(2 * frequencies, width)
        self.classes = nn.Linear(num_classes, width, bias=False) if num_classes else None
        self.second = nn.Linear(width, width)

    angular: Tensor

    def forward(self, level: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map levels ``(N,)``, and classes ``(N,)``, to vectors ``(N, width)``."""
        angles = level[:, None] * self.angular
        x: Tensor = self.first(torch.cat([angles.cos(), angles.sin()], dim=1))
        if self.classes is not None:
            x = x + self.classes(one_hot(labels, self.num_classes, x.dtype))
        return F.silu(self.second(F.silu(x)))


class MLPDenoiser(nn.Module):
    """A denoiser of fully connected layers, for points and small images.

    Args:
        image_shape: ``(C, H, W)``, or any other shape.
        num_classes: 0 for an unconditional network.
        hidden: widths of the hidden layers; the last one's are the features.

    Raises:
        ValueError: if there is no hidden layer, or a width is not positive.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int = 0,
        hidden: Sequence[int] = (256, 256, 256),
    ) -> None:
        super().__init__()
        check_sizes(hidden=hidden)
        require(len(hidden) > 0, "hidden", [*hidden], "one width or more")
        size = math.prod(image_shape)
        self.image_shape = tuple(image_shape)
        self.num_features = hidden[-1]
        self.embedding = NoiseEmbedding(hidden[0], num_classes)
        widths = [size, *hidden]
        self.layers = nn.ModuleList(map(nn.Linear, widths[:-1], widths[1:]))
        self.levels = nn.ModuleList(nn.Linear(hidden[0], width) for width in hidden)
        self.last = nn.Linear(hidden[-1], size)

    def features(self, x: Tensor, level: Tensor, labels: Tensor | None = None) -> Tensor:
        """The last hidden layer, ``(N, num_features)``."""
        embedded = self.embedding(level, labels)
        x = x.flatten(1)
        for layer, its_level in zip(self.layers, self.levels, strict=True):
            x = F.silu(layer(x) + its_level(embedded))
        return x

    def forward(self, x: Tensor, level: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map scaled images ``(N, C, H, W)`` and levels ``(N,)`` to outputs of that shape."""
        outputs: Tensor = self.last(self.features(x, level, labels))
        return outputs.reshape(-1, *self.image_shape)


class _Block(nn.Module):
    """Two convolutions beside the identity; the level chooses scale and shift between them."""

    def __init__(self, channels: int, out_channels: int, embedded: int) -> None:
        super().__init__()
        self.first_norm = nn.GroupNorm(math.gcd(channels, 8), channels)
        self.first = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.affine = nn.Linear(embedded, 2 * out_channels)
        self.second_norm = nn.GroupNorm(math.gcd(out_channels, 8), out_channels)
        self.second = _nearly_zero(nn.Conv2d(out_channels, out_channels, 3, padding=1))
        same = channels == out_channels
        self.skip = nn.Identity() if same else nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        scale, shift = self.affine(embedded)[:, :, None, None].chunk(2, dim=1)
        h = self.second_norm(self.first(F.silu(self.first_norm(x))))
        h = self.second(F.silu(h * (1 + scale) + shift))
        # both parts count alike, and variances stay
        mixed: Tensor = (self.skip(x) + h) / math.sqrt(2)
        return mixed


class UNetDenoiser(nn.Module):
    """A small U-Net without attention: for each size one block down and one up, one at the bottom.

    Args:
        image_shape: ``(C, H, W)``; H and W must be multiples of ``patch * 2 ** depth``.
        num_classes: 0 for an unconditional network.
        width: channels at the full size; twice as many at all smaller ones.
        depth: how often the size is halved.
        patch: side of the squares of pixels that the network takes for one, of more channels: 2 for
            a fourth of the time.

    Raises:
        ValueError: for any other image shape, or if a size is not positive.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int = 0,
        width: int = 32,
        depth: int = 2,
        patch: int = 1,
    ) -> None:
        super().__init__()
        check_sizes(width=width, depth=depth, patch=patch)
        times = patch * 2**depth
        fits = len(image_shape) == 3 and image_shape[1] % times == image_shape[2] % times == 0
        right = f"(C, H, W) with H and W multiples of {times}; MLPDenoiser takes any shape"
        require(fits, "image_shape", tuple(image_shape), right)
        height, side = image_shape[1:]
        channels = image_shape[0] * patch**2
        self.patch = patch
        widths = [width] + [2 * width] * depth
        self.num_features = widths[-1] * (height // times) * (side // times)
        embedded = 4 * width
        self.embedding = NoiseEmbedding(embedded, num_classes)
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.down = nn.ModuleList(
            _Block(widths[max(0, i - 1)], widths[i], embedded) for i in range(depth)
        )
        self.bottom = _Block(widths[-2], widths[-1], embedded)
        self.up = nn.ModuleList(
            _Block(widths[i + 1] + widths[i], widths[i], embedded) for i in reversed(range(depth))
        )
        self.norm = nn.GroupNorm(math.gcd(width, 8), width)
        self.last = _nearly_zero(nn.Conv2d(width, channels, 3, padding=1))

    def _descend(self, x: Tensor, embedded: Tensor) -> tuple[Tensor, list[Tensor]]:
        x = self.first(F.pixel_unshuffle(x, self.patch))
        passed = []
        for block in self.down:
            x = block(x, embedded)
            passed.append(x)
            x = F.avg_pool2d(x, 2)
        return self.bottom(x, embedded), passed

    def features(self, x: Tensor, level: Tensor, labels: Tensor | None = None) -> Tensor:
        """The bottom of the U, ``(N, num_features)``."""
        return self._descend(x, self.embedding(level, labels))[0].flatten(1)

    def forward(self, x: Tensor, level: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map scaled images ``(N, C, H, W)`` and levels ``(N,)`` to outputs of that shape."""
        embedded = self.embedding(level, labels)
        x, passed = self._descend(x, embedded)
        for block in self.up:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = block(torch.cat([x, passed.pop()], dim=1), embedded)
        return F.pixel_shuffle(self.last(F.silu(self.norm(x))), self.patch)


class DenoiserHead(nn.Sequential):
    """One logit from the features of a denoiser.

    Args:
        num_features: of the denoiser.
        hidden: width of the hidden layer.

    Raises:
        ValueError: if the width is not positive.
    """

    def __init__(self, num_features: int, hidden: int = 128) -> None:
        check_sizes(hidden=hidden)
        super().__init__(
            nn.LayerNorm(num_features),
            nn.Linear(num_features, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 1),
            nn.Flatten(0),
        )


def _nearly_zero(layer: nn.Conv2d) -> nn.Conv2d:
    """Have a layer begin with next to nothing, so that a block begins as the identity.

    Not with nothing at all: what is before it would have no gradient.
    """
    with torch.no_grad():
        layer.weight.mul_(1e-5)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
