"""Whole batches of uint8 images: flipped, cropped and converted, on the device they are on."""

import torch
from torch import Tensor

from datamodules.sampling import DRAW_BITS

__all__ = ["DRAWS", "augment", "centre_crop", "to_float"]

DRAWS = 3
"""Draws that :func:`augment` takes per image: for the flip, the top and the left of the crop."""


def to_float(images: Tensor) -> Tensor:
    """Convert images of 0 to 255 to float in [-1, 1], any shape."""
    return images.float().div_(127.5).sub_(1.0)


def centre_crop(images: Tensor, size: int) -> Tensor:
    """The middle of images ``(N, C, L, L)``: shape ``(N, C, size, size)``."""
    offset = (images.shape[-1] - size) // 2
    return images[..., offset : offset + size, offset : offset + size]


def augment(images: Tensor, draws: Tensor, size: int, flip: bool) -> Tensor:
    """Crop each image where its draws say, and mirror it left to right if they say so.

    With ``u = draw / 2**24`` in [0, 1), the offset of the crop is ``floor(u (L - size + 1))``, and
    an image is mirrored where ``u < 1/2``.

    Args:
        images: any type, shape ``(N, C, L, L)`` with ``L >= size``.
        draws: integers in [0, 2**24), shape ``(N, 3)``: flip, top, left.
        size: side of the crop.
        flip: whether to mirror at all.

    Returns:
        Images of the same type, shape ``(N, C, size, size)``.
    """
    offsets = images.shape[-1] - size
    if offsets:
        top, left = ((draws[:, 1:] * (offsets + 1)) >> DRAW_BITS).unbind(1)
        # (N, C, offsets + 1, offsets + 1, size, size): every crop there is, without a copy
        crops = images.unfold(2, size, 1).unfold(3, size, 1)
        images = crops[torch.arange(len(images), device=images.device), :, top, left]
    if flip:
        mirrored = (draws[:, 0] < 2 ** (DRAW_BITS - 1))[:, None, None, None]
        images = torch.where(mirrored, images.flip(-1), images)
    return images
