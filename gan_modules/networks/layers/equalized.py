"""Equalised learning rate: layers whose weights are scaled when they are used."""

import math

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["EqualizedConv2d", "EqualizedLinear", "pixel_norm", "scaled_leaky_relu"]


class EqualizedLinear(nn.Linear):
    """A linear layer with weights from N(0, 1), multiplied by He's constant at run time.

    Karras et al. 2018 (arXiv:1710.10196, section 4.1): under an optimizer that divides by the size
    of the gradient all weights then learn at one speed, whatever the layer's size.

    Args:
        in_features: size of the input.
        out_features: size of the output.
        bias: what it is at the start, for every output.
        gain: deviation of the output if the input's is 1.
        rate: factor of the learning rate, weights and biases being that much larger and scaled
            down; 0.01 in StyleGAN's mapping network.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: float = 0.0,
        gain: float = 1.0,
        rate: float = 1.0,
    ) -> None:
        super().__init__(in_features, out_features)
        self.scale, self.rate = gain * rate / math.sqrt(in_features), rate
        nn.init.normal_(self.weight, 0.0, 1 / rate)
        nn.init.constant_(self.bias, bias / rate)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., in_features)`` to ``(..., out_features)``."""
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class EqualizedConv2d(nn.Conv2d):
    """A convolution with weights from N(0, 1), see :class:`EqualizedLinear`; biases start at 0.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: side of the kernel.
        stride: of the convolution.
        padding: zeros at each side.
        bias: whether to add one.
        gain: deviation of the output if the input's is 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        gain: float = 1.0,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, bias=bias)
        self.scale = gain / math.sqrt(in_channels * kernel_size**2)
        nn.init.normal_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in_channels, H, W)`` to ``(N, out_channels, ...)``."""
        weight = self.weight * self.scale
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


def pixel_norm(x: Tensor) -> Tensor:
    """Divide by the root mean square over dimension 1: over the channels of every pixel.

    Karras et al. 2018, arXiv:1710.10196, section 4.2, with its epsilon of 1e-8. The mean is taken
    in float32 at least.
    """
    exact = x if x.dtype.itemsize > 4 else x.float()
    return x * (exact.square().mean(1, keepdim=True) + 1e-8).rsqrt().to(x.dtype)


def scaled_leaky_relu(x: Tensor) -> Tensor:
    """LeakyReLU with slope 0.2, times the root of 2, which about keeps the deviation."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)
