"""Pieces that several convolutional networks share."""

import math
from collections.abc import Sequence
from typing import Literal

from torch import nn

__all__ = ["ConvNorm", "doublings", "make_norm"]

ConvNorm = Literal["none", "batch", "layer"]


def make_norm(norm: ConvNorm, channels: int) -> nn.Module:
    """Normalisation of ``(N, C, H, W)`` features; ``"layer"`` is over C, H and W per sample.

    One group of ``GroupNorm`` is layer normalisation with a scale and a shift per channel, as in
    the official WGAN-GP code.
    """
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "layer":
        return nn.GroupNorm(1, channels)
    return nn.Identity()


def doublings(image_shape: Sequence[int], network: str) -> int:
    """How often a 4x4 map doubles to reach the image's side.

    Raises:
        ValueError: unless ``image_shape`` is ``(C, S, S)`` with S = 8, 16, 32, ...
    """
    if len(image_shape) == 3 and image_shape[1] == image_shape[2] and image_shape[1] >= 8:
        times = math.log2(image_shape[1] / 4)
        if times.is_integer():
            return int(times)
    raise ValueError(
        f"image_shape={tuple(image_shape)} does not fit {network}: "
        "it needs (channels, size, size) with a size of 8, 16, 32, 64, 128, ..."
    )
