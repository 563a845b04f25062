"""Resampling with the filter [1, 3, 3, 1] in both directions (Zhang 2019, arXiv:1904.11486)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Smoothing"]


class Smoothing(nn.Module):
    """The filter, and doubling or halving with it, of every channel by itself.

    Beyond the border are zeros, as in StyleGAN2 (Karras et al. 2020, arXiv:1912.04958).
    """

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        self.register_buffer("kernel", torch.outer(taps, taps)[None, None], persistent=False)

    def _kernel(self, x: Tensor) -> Tensor:
        return self.kernel.to(x.dtype).expand(x.shape[1], 1, 4, 4)

    def forward(self, x: Tensor, padding: int) -> Tensor:
        """Filter ``(N, C, H, W)``: of sizes H and W are left ``H + 2 * padding - 3`` and so on."""
        return F.conv2d(x, self._kernel(x), padding=padding, groups=x.shape[1])

    def upsample(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, C, 2 H, 2 W)``: zeros in between, the filter, times 4."""
        kernel = 4 * self._kernel(x)
        return F.conv_transpose2d(x, kernel, None, 2, 1, groups=x.shape[1])

    def downsample(self, x: Tensor) -> Tensor:
        """``(N, C, 2 H, 2 W)`` to ``(N, C, H, W)``: the filter at every second pixel."""
        return F.conv2d(x, self._kernel(x), None, 2, 1, groups=x.shape[1])
