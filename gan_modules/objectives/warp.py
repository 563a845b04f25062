"""Affine warps of images, differentiable any number of times."""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["compose", "matrices", "warp"]


def matrices(rows: list[list[Tensor]]) -> Tensor:
    """A matrix per sample ``(N, rows, columns)`` from its entries ``(N,)``."""
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def compose(one: Tensor, other: Tensor) -> Tensor:
    """The products of matrices ``(N, K, K)``, in full precision.

    Under autocast, or where TF32 is allowed, ``@`` would round positions to tenths of a pixel.
    """
    return (one.unsqueeze(-1) * other.unsqueeze(-3)).sum(dim=-2)


def warp(images: Tensor, inverse: Tensor) -> Tensor:
    """Look up every pixel of images ``(N, C, H, W)`` where an affine map says.

    An output pixel is the mean of its four quarters, each looked up linearly between the quarters
    of the input: supersampling by 2, with the Haar wavelet's filters. Whole-pixel shifts, flips and
    quarter turns therefore lose nothing, not a bit. Outside the images are their reflections.

    It gathers pixels: ``grid_sample`` rounds positions at most sizes, has no second derivative in
    older versions of torch and no deterministic one on CUDA. Maps get no gradient.

    Args:
        images: of a floating point type.
        inverse: matrices ``(N, 3, 3)`` from positions in the output to positions in the input,
            ``(x, y, 1)`` in pixels from the centre, y downwards.
    """
    height, width = images.shape[2:]
    right, down = _quarters(width, inverse), _quarters(height, inverse)[:, None]
    entries = inverse[:, :2, :, None, None]
    x, y = (entries[:, :, 0] * right + entries[:, :, 1] * down + entries[:, :, 2]).unbind(1)
    (left, next_x, to_right), (top, next_y, to_bottom) = _between(x, width), _between(y, height)
    flat = images.flatten(2)

    def at(rows: Tensor, columns: Tensor) -> Tensor:
        places = (rows * width + columns).flatten(1).unsqueeze(1)
        found = flat.gather(2, places.expand(-1, flat.shape[1], -1))
        return found.view(*flat.shape[:2], *rows.shape[1:])

    to_right, to_bottom = (share.unsqueeze(1).to(images.dtype) for share in (to_right, to_bottom))
    above = torch.lerp(at(top, left), at(top, next_x), to_right)
    below = torch.lerp(at(next_y, left), at(next_y, next_x), to_right)
    return F.avg_pool2d(torch.lerp(above, below, to_bottom), 2)


def _quarters(size: int, like: Tensor) -> Tensor:
    """Positions of the two halves of each of ``size`` pixels, from the centre."""
    numbers = torch.arange(2 * size, dtype=like.dtype, device=like.device)
    return (numbers + 0.5 - size) / 2


def _between(positions: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """The pixels whose halves are before and after positions, and the share of the latter."""
    # in halves of pixels from the border, and back from beyond it
    halves = (2 * positions + size).abs() % (4 * size)
    halves = 2 * size - (2 * size - halves).abs()
    halves = (halves - 0.5).clamp(0, 2 * size - 1)
    before = halves.floor()
    index = before.long()
    # beyond the last half there is itself once more
    after = (index + 1).clamp(max=2 * size - 1)
    return index // 2, after // 2, halves - before
