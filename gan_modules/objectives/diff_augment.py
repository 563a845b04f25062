"""Differentiable augmentation of a fixed strength."""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from gan_modules.errors import require
from gan_modules.objectives.augmentations import Augmentation, require_images

__all__ = ["DiffAugment"]

Kind = Literal["color", "translation", "cutout"]


class DiffAugment(Augmentation):
    """Colours, place and a hole, drawn anew for every image (Zhao et al. 2020, arXiv:2006.10738).

    - ``"color"``: brightness, by up to 0.5 more or less; saturation, a factor of up to 2; contrast,
      a factor from 0.5 to 1.5. Images in [-1, 1] may leave it.
    - ``"translation"``: by up to an eighth of the size, with zeros, which are grey, behind.
    - ``"cutout"``: a square of half the size is zero, anywhere and also partly outside.

    Args:
        policy: which of them, one after the other.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(self, policy: Sequence[Kind] = ("color", "translation", "cutout")) -> None:
        super().__init__()
        known = get_args(Kind)
        right = f"some of {', '.join(known)}, each once"
        fits = not isinstance(policy, str) and 0 < len(policy) == len({*policy} & {*known})
        require(fits, "policy", policy, right)
        self.policy = policy

    def check(self, image_shape: Sequence[int]) -> None:
        """Refuse points."""
        require_images(self, image_shape)

    def forward(self, images: Tensor) -> Tensor:
        """Transform each of images ``(N, C, H, W)`` in its own way."""
        for kind in self.policy:
            images = TRANSFORMATIONS[kind](images)
        return images


def recolour(images: Tensor) -> Tensor:
    """Change brightness, then saturation, then contrast."""
    brightness, saturation, contrast = (_uniform(images) for _ in range(3))
    images = images + (brightness - 0.5)
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * (2 * saturation)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (images - mean) * (contrast + 0.5)


def translate(images: Tensor) -> Tensor:
    """Shift by whole pixels, along each axis up to an eighth of its length."""
    for axis in (2, 3):
        size = images.shape[axis]
        furthest = int(size / 8 + 0.5)
        shift = _integers(images, 2 * furthest + 1) - furthest
        source = _along(images, axis) - shift
        inside = (source >= 0) & (source < size)
        source = source.clamp(0, size - 1).expand(images.shape)
        images = images.gather(axis, source) * inside
    return images


def cut_out(images: Tensor) -> Tensor:
    """Put zeros into a square whose centre is anywhere."""
    return images * ~(_in_hole(images, 2) & _in_hole(images, 3))


TRANSFORMATIONS = {"color": recolour, "translation": translate, "cutout": cut_out}


def _in_hole(images: Tensor, axis: int) -> Tensor:
    """Which rows or columns a hole crosses."""
    size = images.shape[axis]
    length = int(size / 2 + 0.5)
    # a hole of even length has its centre between pixels, also at either border
    start = _integers(images, size + 1 - length % 2) - length // 2
    offset = _along(images, axis) - start
    return (offset >= 0) & (offset < length)


def _uniform(images: Tensor) -> Tensor:
    """A number from [0, 1) for each image, ``(N, 1, 1, 1)``."""
    return torch.rand(len(images), 1, 1, 1, dtype=images.dtype, device=images.device)


def _integers(images: Tensor, end: int) -> Tensor:
    """A number from 0 to ``end - 1`` for each image, ``(N, 1, 1, 1)``."""
    return torch.randint(end, (len(images), 1, 1, 1), device=images.device)


def _along(images: Tensor, axis: int) -> Tensor:
    """The indices of an axis, along it."""
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    return torch.arange(images.shape[axis], device=images.device).view(shape)
