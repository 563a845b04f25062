"""A 3x3 convolution and the resampling beside it, as one convolution of the smaller map.

Both are algebraically exact: only the order of the sums differs. They take 16 multiplications where
the two layers take 36, and the large map in between is never made. They compute channels last in
memory.
"""

from typing import ClassVar

import torch
import torch.fx
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["DownsampleConv2d", "UpsampleConv2d", "resampling_kernel"]


def resampling_kernel(taps: Tensor, weight: Tensor) -> Tensor:
    """From kernels ``(A, B, 3, 3)`` to ``(A, B, 4, 4)``, channels last in memory.

    Args:
        taps: shape ``(16, 9)``, the layer's.
        weight: the kernels of 3x3.
    """
    # sums of weights are as exact as weights are: half precision comes after them
    with torch.autocast(weight.device.type, enabled=False):
        kernel = taps @ weight.movedim(1, 3).flatten(1, 2)
    channels_last: Tensor = kernel.unflatten(1, (4, 4)).movedim(3, 1)
    return channels_last


# symbolic tracing does not look into it: it knows no devices
torch.fx.wrap("resampling_kernel")


class _ResamplingConv2d(nn.Conv2d):
    """A 3x3 convolution of padding 1 that works with a 4x4 kernel made of its weight.

    Weight, bias, their initialisation and names are those of ``nn.Conv2d``.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        bias: whether to add one.
    """

    taps: Tensor

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, bias=bias)
        rows = torch.tensor(self._rows)
        # (16, 9): one matrix product makes all kernels, several times faster than sums of slices
        self.register_buffer("taps", torch.kron(rows, rows), persistent=False)

    _rows: ClassVar[list[list[float]]]
    """Weights of the three taps in each of the four of the kernel, in one dimension."""


class UpsampleConv2d(_ResamplingConv2d):
    """``Upsample(scale_factor=2)``, nearest, and ``Conv2d(in, out, 3, padding=1)`` in one.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        bias: whether to add one.
    """

    # of every output pixel, two taps fall on one pixel of the small map and one on its neighbour
    _rows: ClassVar = [[0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in_channels, H, W)`` to ``(N, out_channels, 2 H, 2 W)``."""
        kernel = resampling_kernel(self.taps, self.weight.transpose(0, 1))
        return F.conv_transpose2d(x, kernel, self.bias, 2, 1)


class DownsampleConv2d(_ResamplingConv2d):
    """``Conv2d(in, out, 3, padding=1)`` and ``AvgPool2d(2)`` in one, for even sides.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        bias: whether to add one.
    """

    # the mean of two neighbouring outputs
    _rows: ClassVar = [[0.5, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 0.5]]

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in_channels, 2 H, 2 W)`` to ``(N, out_channels, H, W)``."""
        return F.conv2d(x, resampling_kernel(self.taps, self.weight), self.bias, 2, 1)
