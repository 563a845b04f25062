"""Blocks of SNGAN (1802.05957); networks that SAGAN (1805.08318), BigGAN (1809.11096) share."""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from gan_modules.errors import require
from gan_modules.networks.judgement import Judgement
from gan_modules.networks.layers.attention import SelfAttention
from gan_modules.networks.layers.blocks import Doublings, check_sizes, doublings
from gan_modules.networks.layers.class_heads import ConditionedDiscriminator

__all__ = [
    "DiscriminatorBlock",
    "GeneratorBlock",
    "ResidualDiscriminator",
    "ResidualGenerator",
    "residual_doublings",
]

# by the doublings of the smallest map, which make squares of 8, 16, 32, ..., 512 pixels of 4x4: as
# in BigGAN-PyTorch (SAGAN's are those at 128); the first two are ours
GENERATOR_MULTIPLIERS = (
    (4, 4),
    (4, 4, 4),
    (4, 4, 4, 4),
    (16, 16, 8, 4, 2),
    (16, 16, 8, 4, 2, 1),
    (16, 16, 8, 8, 4, 2, 1),
    (16, 16, 8, 8, 4, 2, 1, 1),
)
"""Channels of the smallest map and after each block, in units of the width."""
DISCRIMINATOR_MULTIPLIERS = (
    ((4, 4, 4), 1),
    ((4, 4, 4), 1),
    ((4, 4, 4, 4), 2),
    ((1, 2, 4, 8, 16), 4),
    ((1, 2, 4, 8, 16, 16), 5),
    ((1, 2, 4, 8, 8, 16, 16), 6),
    ((1, 1, 2, 4, 8, 8, 16, 16), 7),
)
"""Channels after each block, and how many blocks halve the map; they come first."""


def residual_doublings(image_shape: Sequence[int], network: str) -> Doublings:
    """How often the smallest map doubles to reach the image.

    Raises:
        ValueError: for an image shape as in :func:`doublings`, or more than 7 times.
    """
    found = doublings(image_shape, network)
    most = len(GENERATOR_MULTIPLIERS)
    if found.times > most:
        raise ValueError(
            f"image_shape={tuple(image_shape)} does not fit {network}: it needs sides that are "
            f"halved at most {most} times until the shorter one has 3 to 7 pixels, such as 512x512"
        )
    return found


def _attention_side(attention: int | None, sides: Iterable[int], largest: int) -> int:
    """Where attention is, 0 for nowhere."""
    known = sorted(set(sides))
    if attention is None:
        return max(side for side in known if side <= max(largest, known[0]))
    right = f"None, 0, or the side of a map between blocks: {', '.join(map(str, known))}"
    require(attention in (0, *known), "attention", attention, right)
    return attention


class GeneratorBlock(nn.Module):
    """Norm, ReLU, upsampling, 3x3, norm, ReLU, 3x3, plus an upsampled 1x1 shortcut."""

    def __init__(
        self, in_channels: int, channels: int, make_norm: Callable[[int], nn.Module]
    ) -> None:
        super().__init__()
        self.norm1, self.norm2 = make_norm(in_channels), make_norm(channels)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.shortcut = nn.Conv2d(in_channels, channels, 1)
        self.up = nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor, condition: Any) -> Tensor:
        """Features ``(N, C, H, W)`` twice as large; the condition is for the normalisations."""
        h = self.conv1(self.up(self.norm1(x, condition).relu()))
        h = self.conv2(self.norm2(h, condition).relu())
        # a 1x1 convolution commutes with nearest upsampling: it runs on the smaller map
        out: Tensor = h + self.up(self.shortcut(x))
        return out


class ResidualGenerator(nn.Module):
    """A small map, one upsampling residual block per doubling, norm, ReLU, 3x3, tanh.

    Args:
        image_shape: ``(C, H, W)``, squares of 8, 16, 32, ..., 512 pixels or as
            :func:`~gan_modules.networks.layers.blocks.doublings` takes them.
        inputs: numbers that the smallest map is made of.
        width: channels, times the table's multipliers.
        attention: shorter side of the map with self-attention; None for the largest between blocks
            that is no larger than ``largest_attention``, 0 for none.
        largest_attention: the paper's choice of the side.
        make_norm: makes the normalisation of that many channels in a block.

    Raises:
        ValueError: for any other image shape, a map that there is not, or a width below 1.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        inputs: int,
        width: int,
        attention: int | None,
        largest_attention: int,
        make_norm: Callable[[int], nn.Module],
    ) -> None:
        super().__init__()
        check_sizes(width=width)
        times, *self.first = residual_doublings(image_shape, type(self).__name__)
        channels = [width * m for m in GENERATOR_MULTIPLIERS[times - 1]]
        sides = [min(self.first) * 2**k for k in range(times)]
        self.linear = nn.Linear(inputs, channels[0] * math.prod(self.first))
        self.blocks = nn.ModuleList(GeneratorBlock(a, b, make_norm) for a, b in pairwise(channels))
        where = _attention_side(attention, sides, largest_attention)
        self.attention_before = sides.index(where) if where else None
        self.attention = SelfAttention(channels[sides.index(where)]) if where else None
        self.norm = nn.BatchNorm2d(channels[-1])
        self.conv = nn.Conv2d(channels[-1], image_shape[0], 3, padding=1)

    def draw(self, inputs: Tensor, conditions: Sequence[Any]) -> Tensor:
        """Images ``(N, C, H, W)`` in [-1, 1].

        Args:
            inputs: of the smallest map, shape ``(N, inputs)``.
            conditions: what the normalisations of each block are given.
        """
        x = self.linear(inputs).unflatten(1, (-1, *self.first))
        for number, (block, condition) in enumerate(zip(self.blocks, conditions, strict=True)):
            if self.attention is not None and number == self.attention_before:
                x = self.attention(x)
            x = block(x, condition)
        images: Tensor = self.conv(self.norm(x).relu()).tanh()
        return images


class DiscriminatorBlock(nn.Module):
    """ReLU, 3x3, ReLU, 3x3, halving, plus a shortcut; the first block has no ReLU ahead of it."""

    def __init__(self, in_channels: int, channels: int, first: bool, halves: bool) -> None:
        super().__init__()
        self.is_first = first
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.down: nn.Module = nn.AvgPool2d(2) if halves else nn.Identity()
        self.shortcut: nn.Module = nn.Identity()
        if halves or in_channels != channels:
            self.shortcut = nn.Conv2d(in_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Features ``(N, C, H, W)``, of half the size if the block halves."""
        h = self.conv1(x if self.is_first else x.relu())
        h = self.down(self.conv2(h.relu()))
        # a 1x1 convolution commutes with the mean over 2x2 pixels
        out: Tensor = h + self.shortcut(self.down(x))
        return out


class ResidualDiscriminator(ConditionedDiscriminator):
    """Downsampling residual blocks, one or two more, ReLU, SUM over the map, one logit.

    With classes, the logit is ``psi(phi(x)) + <embedding(y), phi(x)>``: the projection
    discriminator. There is no normalisation of activations.

    Args:
        image_shape: ``(C, H, W)``, squares of 8, 16, 32, ..., 512 pixels or as
            :func:`~gan_modules.networks.layers.blocks.doublings` takes them.
        num_classes: 0 for an unconditional network.
        width: channels, times the table's multipliers.
        attention: shorter side of the map with self-attention; None for the largest between blocks
            that is no larger than ``largest_attention``, 0 for none.
        largest_attention: the paper's choice of the side.

    Raises:
        ValueError: for any other image shape, a map that there is not, or a width below 1.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int,
        width: int,
        attention: int | None,
        largest_attention: int,
    ) -> None:
        super().__init__()
        check_sizes(width=width)
        times = residual_doublings(image_shape, type(self).__name__).times
        multipliers, halvings = DISCRIMINATOR_MULTIPLIERS[times - 1]
        channels = [image_shape[0], *(width * m for m in multipliers)]
        side = min(image_shape[1:])
        sides = [side // 2 ** min(k, halvings) for k in range(1, len(channels))]
        where = _attention_side(attention, sides, largest_attention)
        layers: list[nn.Module] = []
        for number, (before, after) in enumerate(pairwise(channels)):
            layers.append(DiscriminatorBlock(before, after, number == 0, number < halvings))
            # behind the block that makes a map of this side
            if where and number == sides.index(where):
                layers.append(SelfAttention(after))
        self.blocks = nn.Sequential(*layers)
        self.linear = nn.Linear(channels[-1], 1)
        self.meet_classes("projection", num_classes, channels[-1])

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor | Judgement:
        """Map images ``(N, C, H, W)`` to logits ``(N,)``."""
        phi = self.blocks(images).relu().sum((2, 3))
        return self.conclude(self.linear(phi).squeeze(1), phi, labels)
