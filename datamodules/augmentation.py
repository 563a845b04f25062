"""Whole batches of uint8 images: flipped, cropped and converted, on the device they are on."""

import torch
from torch import Tensor

from datamodules.resizing import Size, as_pair
from datamodules.sampling import DRAW_BITS

__all__ = ["DRAWS", "augment", "centre_crop", "to_float"]

DRAWS = 3
"""Draws that :func:`augment` takes per image: for the flip, the top and the left of the crop."""


def to_float(images: Tensor) -> Tensor:
    """Convert images of 0 to 255 to float in [-1, 1], any shape."""
    return images.float().div_(127.5).sub_(1.0)


def centre_crop(images: Tensor, size: Size) -> Tensor:
    """The middle of images ``(N, C, H, W)``: shape ``(N, C, *size)``."""
    height, width = as_pair(size)
    top, left = (images.shape[-2] - height) // 2, (images.shape[-1] - width) // 2
    return images[..., top : top + height, left : left + width]


def augment(images: Tensor, draws: Tensor, size: Size, flip: bool) -> Tensor:
    """Crop each image where its draws say, and mirror it left to right if they say so.

    With ``u = draw / 2**24`` in [0, 1), the offset of the crop is ``floor(u (H - height + 1))``,
    likewise of the width, and an image is mirrored where ``u < 1/2``.

    Args:
        images: any type, shape ``(N, C, H, W)``, no smaller than the crop.
        draws: integers in [0, 2**24), shape ``(N, 3)``: flip, top, left.
        size: of the crop.
        flip: whether to mirror at all.

    Returns:
        Images of the same type, shape ``(N, C, *size)``.
    """
    height, width = as_pair(size)
    down, across = images.shape[-2] - height, images.shape[-1] - width
    if down or across:
        top, left = (
            (draws[:, 1] * (down + 1)) >> DRAW_BITS,
            (draws[:, 2] * (across + 1)) >> DRAW_BITS,
        )
        # (N, C, down + 1, across + 1, height, width): every crop there is, without a copy
        crops = images.unfold(2, height, 1).unfold(3, width, 1)
        images = crops[torch.arange(len(images), device=images.device), :, top, left]
    if flip:
        mirrored = (draws[:, 0] < 2 ** (DRAW_BITS - 1))[:, None, None, None]
        images = torch.where(mirrored, images.flip(-1), images)
    return images
