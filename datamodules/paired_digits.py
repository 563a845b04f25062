"""Digits and their outlines, in pairs."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2.functional import resize

from datamodules.base import Split
from datamodules.digits import check_digits_size, digits_of
from datamodules.mnist import MNISTDataModule
from datamodules.paired import PairedDataModule
from datamodules.resizing import Size, as_pair

__all__ = ["PairedDigitsDataModule", "PairedMNISTDataModule", "outlines"]


def outlines(images: Tensor) -> Tensor:
    """The morphological gradient: the brightest minus the darkest of each 3x3 neighbourhood.

    Args:
        images: uint8, shape ``(N, C, H, W)``; outside they go on as they end.

    Returns:
        Images of the same type and shape.
    """
    padded = F.pad(images.float(), (1, 1, 1, 1), mode="replicate")
    brightest, darkest = F.max_pool2d(padded, 3, 1), -F.max_pool2d(-padded, 3, 1)
    return (brightest - darkest).to(torch.uint8)


def _pairs(digits: Tensor, labels: Tensor, size: Size) -> tuple[Tensor, Tensor, Tensor]:
    """Outlines and digits of one size, and labels."""
    images = resize(digits, [*as_pair(size)], antialias=True)
    return outlines(images), images, labels


class PairedDigitsDataModule(PairedDataModule):
    """Domain A: outlines of digits. Domain B: the digits themselves, white on black.

    The digits are scikit-learn's, see :class:`DigitsDataModule`, split in the same way: 1,437
    pairs for training, 180 for validation, 180 for test. An outline is the digit's morphological
    gradient (:func:`outlines`) at the size of the images. The class of every digit is at hand for
    scoring: ``data.splits["test"].labels`` belong to the test batches in their order.

    Args:
        image_size: side of the images, 16 or 32.
        **kwargs: options of :class:`PairedDataModule`.

    Raises:
        ValueError: if an option is out of its range.
    """

    channels = 1
    domains = ("outline", "digit")

    def __init__(self, *, image_size: int = 16, **kwargs: Any) -> None:
        check_digits_size(image_size, "PairedDigitsDataModule")
        super().__init__(image_size=image_size, **kwargs)

    def load(self, split: Split) -> tuple[Tensor, Tensor, Tensor]:
        """Outlines and digits ``(N, 1, L, L)``, L being ``load_size``, and labels."""
        return _pairs(*digits_of(split), self.load_size)


class PairedMNISTDataModule(PairedDataModule):
    """Domain A: outlines of MNIST's digits. Domain B: the digits themselves, white on black.

    Outlines as those of :class:`PairedDigitsDataModule`; splits are :class:`MNISTDataModule`'s.

    Args:
        root: as of :class:`MNISTDataModule`.
        image_size: side of the images, or height and width.
        val_size: as of :class:`MNISTDataModule`.
        **kwargs: options of :class:`PairedDataModule`.

    Raises:
        ValueError: if an option is out of its range.
        FileNotFoundError: if the files are missing and cannot be downloaded.
    """

    channels = 1
    domains = ("outline", "digit")

    def __init__(
        self, *, root: str = "data", image_size: Size = 32, val_size: int = 5_000, **kwargs: Any
    ) -> None:
        super().__init__(image_size=image_size, **kwargs)
        self.digits = MNISTDataModule(root=root, val_size=val_size)

    def prepare_data(self) -> None:
        """Unpack archives that are there already; download only what is missing."""
        self.digits.prepare_data()

    def load(self, split: Split) -> tuple[Tensor, Tensor, Tensor]:
        """Outlines and digits ``(N, 1, L, L)``, L being ``load_size``, and labels."""
        return _pairs(*self.digits.load(split), self.load_size)
