"""The handwritten digits that scikit-learn carries: real images that need no download."""

from functools import cache
from typing import Any

import torch
from torch import Tensor

from datamodules.base import Split
from datamodules.images import ImageDataModule

__all__ = ["DigitsDataModule", "check_digits_size", "digits_of"]


def digits_of(split: Split) -> tuple[Tensor, Tensor]:
    """Images, uint8 ``(N, 1, 8, 8)``, and labels of one split, the same at every call."""
    images, labels = _splits()[split]
    return images.clone(), labels.clone()


@cache
def _splits() -> dict[Split, tuple[Tensor, Tensor]]:
    """Of every split. The text file behind it is read once, which takes longer than a short run."""
    # slow to import, and other data does without it
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    train, held_out = train_test_split(
        range(len(digits.target)), test_size=360, stratify=digits.target, random_state=0
    )
    val, test = train_test_split(
        held_out, test_size=180, stratify=digits.target[held_out], random_state=0
    )
    # grey values are 0 to 16
    images = torch.from_numpy(digits.images * (255 / 16)).round().to(torch.uint8).unsqueeze(1)
    labels = torch.from_numpy(digits.target)
    indices: dict[Split, list[int]] = {"train": train, "val": val, "test": test}
    return {split: (images[chosen], labels[chosen]) for split, chosen in indices.items()}


def check_digits_size(image_size: int, name: str) -> None:
    """Raise a ``ValueError`` unless the size is one that digits of 8x8 pixels are good for."""
    if image_size not in (16, 32):
        raise ValueError(f"image_size={image_size} must be 16 or 32 for {name}")


class DigitsDataModule(ImageDataModule):
    """1,797 real handwritten digits of 8x8 pixels, enlarged bilinearly.

    They are the test set of the Optical Recognition of Handwritten Digits data (Alpaydin & Kaynak
    1998, UCI). Split with every class in proportion: 1,437 for training, 180 for validation, 180
    for test.

    Args:
        image_size: side of the images, 16 or 32.
        **kwargs: options of :class:`ImageDataModule`.

    Raises:
        ValueError: if an option is out of its range.
    """

    channels = 1
    num_classes = 10
    classes = tuple(map(str, range(10)))

    def __init__(self, *, image_size: int = 16, **kwargs: Any) -> None:
        check_digits_size(image_size, "DigitsDataModule")
        super().__init__(image_size=image_size, **kwargs)

    def load(self, split: Split) -> tuple[Tensor, Tensor]:
        """Images ``(N, 1, 8, 8)`` and labels of one split, the same at every call."""
        return digits_of(split)
