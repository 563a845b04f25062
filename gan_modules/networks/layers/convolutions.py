"""4x4 convolutions of stride 2, on a CPU as matrix products where those are faster.

They are algebraically exact: only the order of the sums differs.
"""

import platform
from itertools import product
from pathlib import Path
from typing import Any

import torch
import torch.fx
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F

__all__ = ["DoublingConvTranspose2d", "HalvingConv2d", "conv", "conv_transpose"]

FEW_CHANNELS = 4
"""Output channels of a transposed convolution that is always a matrix product."""
SMALL_MAP = 16
"""Patches per image."""


def large_kernel(information: Path = Path("/proc/cpuinfo")) -> int:
    """Weights from which on a product is faster, measured on one processor of Intel and one of AMD.

    On Intel's those of 2 MiB in float32, where torch's convolutions reach two thirds of what its
    products do. Elsewhere those of 32 MiB: convolutions are the faster ones on AMD's.

    Args:
        information: where Linux names the vendor.
    """
    try:
        with information.open() as file:
            vendor = next((line for line in file if line.startswith("vendor_id")), "")
    except OSError:
        vendor = platform.processor()
    return 2**19 if "GenuineIntel" in vendor else 2**23


LARGE_KERNEL = large_kernel()

# symbolic tracing does not look into them: it knows no sizes
torch.fx.wrap("conv")
torch.fx.wrap("conv_transpose")


class HalvingConv2d(nn.Conv2d):
    """``Conv2d(in, out, 4, 2, 1)``, faster on a CPU where kernels are large and maps small.

    Weight, bias, their initialisation and names are those of ``nn.Conv2d``.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        bias: whether to add one.
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 4, 2, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in_channels, H, W)`` to ``(N, out_channels, H // 2, W // 2)``."""
        return conv(x, self.weight, self.bias)


class DoublingConvTranspose2d(nn.ConvTranspose2d):
    """``ConvTranspose2d(in, out, 4, 2, 1)``, faster on a CPU likewise, and to few channels.

    Weight, bias, their initialisation and names are those of ``nn.ConvTranspose2d``.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        bias: whether to add one.
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 4, 2, 1, bias=bias)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Map ``(N, in_channels, H, W)`` to ``(N, out_channels, 2 H, 2 W)``."""
        if output_size is not None:
            return super().forward(x, output_size)
        return conv_transpose(x, self.weight, self.bias)


def conv(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """4x4 convolution of stride 2 and padding 1, torch's own or a product of its patches.

    Args:
        x: float, shape ``(N, in_channels, H, W)``.
        weight: shape ``(out_channels, in_channels, 4, 4)``.
        bias: shape ``(out_channels,)``, or none.

    Returns:
        Shape ``(N, out_channels, H // 2, W // 2)``.
    """
    faster = _is_faster_by_products(x, weight, weight.shape[1], 4)
    if not faster or x.shape[-2] % 2 or x.shape[-1] % 2:
        return F.conv2d(x, weight, bias, 2, 1)
    patches: Tensor = _Patches.apply(x.movedim(1, 3))
    outputs = F.linear(patches.flatten(3).flatten(0, 2), weight.movedim(1, 3).flatten(1), bias)
    return outputs.view(*patches.shape[:3], len(weight)).movedim(3, 1)


def conv_transpose(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """4x4 transposed convolution of stride 2 and padding 1, torch's own or patches that overlap.

    Args:
        x: float, shape ``(N, in_channels, H, W)``.
        weight: shape ``(in_channels, out_channels, 4, 4)``.
        bias: shape ``(out_channels,)``, or none.

    Returns:
        Shape ``(N, out_channels, 2 H, 2 W)``.
    """
    few = weight.shape[1] <= FEW_CHANNELS
    if not _is_faster_by_products(x, weight, weight.shape[0], 1, always=few):
        return F.conv_transpose2d(x, weight, bias, 2, 1)
    n, _, height, width = x.shape
    # of two dimensions: where no gradient is wanted, matmul would make many small products of more
    patches = x.movedim(1, 3).flatten(0, 2) @ weight.movedim(1, 3).flatten(1)
    images: Tensor = _Overlap.apply(patches.view(n, height, width, 4, 4, weight.shape[1]))
    images = images.movedim(3, 1)
    return images if bias is None else images + bias[:, None, None]


def _is_faster_by_products(
    x: Tensor, weight: Tensor, in_channels: int, pixels_per_patch: int, always: bool = False
) -> bool:
    """Whether one matrix product over all patches beats torch's convolution.

    On a CPU it does, forward and backward together by up to 1.8, where maps are small and kernels
    large (``benchmarks/convolutions.py``), and several times for transposed convolutions to the few
    channels of an image. Half precision, where the sum of patches would be rounded, other devices,
    compilers and tracing get torch's own, and so do inputs that are wrong, for its error.
    """
    # ahead of all sizes, which are tensors while TorchScript records
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        return False
    full = x.dtype in (torch.float32, torch.float64) and not torch.is_autocast_enabled("cpu")
    if x.ndim != 4 or x.shape[1] != in_channels or not x.is_cpu or not full:
        return False
    small = x.shape[-2] * x.shape[-1] <= SMALL_MAP * pixels_per_patch
    return always or (small and weight.numel() >= LARGE_KERNEL)


class _Patches(Function):
    """The 4x4 patches, 2 pixels apart, of maps ``(N, H, W, C)`` padded by one: im2col.

    Of shape ``(N, H / 2, W / 2, 4, 4, C)``. It is linear, and :class:`_Overlap` its adjoint.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(maps: Tensor) -> Tensor:
        padded = F.pad(maps, (0, 0, 1, 1, 1, 1))
        return padded.unfold(1, 4, 2).unfold(2, 4, 2).movedim(3, 5).contiguous()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _Overlap.apply(gradient)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Any:
        return _Patches.apply(tangent)


class _Overlap(Function):
    """The sum of overlapping patches, ``(N, H, W, 4, 4, C)`` to ``(N, 2 H, 2 W, C)``: col2im."""

    generate_vmap_rule = True

    @staticmethod
    def forward(patches: Tensor) -> Tensor:
        n, height, width, _, _, channels = patches.shape
        # blocks of 2x2 pixels: every patch lies on four of them
        blocks = patches.new_zeros(n, height + 1, 2, width + 1, 2, channels)
        # by reshape, which unlike flatten has a rule for batches of gradients
        quarters = patches.reshape(n, height, width, 2, 2, 2, 2, channels)
        for down, right in product(range(2), range(2)):
            quarter = quarters[:, :, :, down, :, right].transpose(2, 3)
            blocks[:, down : down + height, :, right : right + width] += quarter
        maps = blocks.reshape(n, 2 * height + 2, 2 * width + 2, channels)
        return maps[:, 1:-1, 1:-1].contiguous()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _Patches.apply(gradient)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Any:
        return _Overlap.apply(tangent)
