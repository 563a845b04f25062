"""Convolutions whose weights are modulated by a style (StyleGAN2, arXiv:1912.04958)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_modules.networks.layers.equalized import EqualizedLinear
from gan_modules.networks.layers.smooth_resampling import Smoothing

__all__ = ["ModulatedConv2d"]

EPSILON = 1e-8


class ModulatedConv2d(nn.Module):
    """A convolution with other weights for every sample (Karras et al. 2020, section 2.2).

    ``w' = s_i w`` scales input channels by an affine map of the style, and demodulation divides by
    the norm of each output channel's weights, ``w'' = w' / sqrt(sum w'^2 + 1e-8)``, in place of
    instance normalisation. Computed with one convolution for the whole batch: inputs are scaled
    instead of weights before it, outputs after it. That is the same number, since a convolution is
    linear, as a grouped convolution with the weights of every sample, in less memory and with
    gradients of gradients that need no grouped convolution.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: side of the kernel, odd.
        style_dim: size of the style.
        demodulate: whether to divide by the norm; not for RGB.
        up: double the map: a transposed convolution of stride 2, then the filter [1, 3, 3, 1].
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        style_dim: int,
        demodulate: bool = True,
        up: bool = False,
    ) -> None:
        super().__init__()
        self.demodulate, self.up = demodulate, up
        self.scale = 1 / math.sqrt(in_channels * kernel_size**2)
        self.style = EqualizedLinear(style_dim, in_channels, bias=1.0)
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        self.weight = nn.Parameter(torch.randn(shape))
        self.smoothing = Smoothing() if up else None

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Map ``(N, in_channels, H, W)``, with styles ``(N, style_dim)``, to maps of that size.

        Or of twice that size.
        """
        style = self.style(w)  # (N, I)
        weight = self.weight * self.scale
        x = x * style[:, :, None, None]
        if self.smoothing is None:
            x = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
        else:
            padding = (weight.shape[-1] - 3) // 2
            x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2, padding=padding)
            x = 4 * self.smoothing(x, padding=1)
        if self.demodulate:
            x = x * self.demodulation(style, weight).to(x.dtype)[:, :, None, None]
        return x

    @staticmethod
    def demodulation(style: Tensor, weight: Tensor) -> Tensor:
        """What outputs ``(N, O)`` are multiplied with, in float32 under autocast.

        Args:
            style: scales of input channels ``(N, I)``.
            weight: ``(O, I, K, K)``.
        """
        with torch.autocast(style.device.type, enabled=False):
            style = style.to(weight.dtype)
            squares: Tensor = style.square() @ weight.square().sum((2, 3)).T
            return (squares + EPSILON).rsqrt()
