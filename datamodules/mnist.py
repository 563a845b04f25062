"""MNIST and Fashion-MNIST, decoded once into one tensor; digits of MNIST in threes."""

from abc import ABC
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.datasets import MNIST, FashionMNIST

from datamodules.base import Split, require_at_least
from datamodules.downloads import download_or_explain, unpack
from datamodules.held_out import reads_test_files, rows_of
from datamodules.images import ImageDataModule
from datamodules.resizing import Size

__all__ = ["FashionMNISTDataModule", "MNISTDataModule", "StackedMNISTDataModule"]


class _IDXDataModule(ImageDataModule, ABC):
    """70,000 grey images of 28x28 pixels and 10 classes, in four files of MNIST's format.

    By default the last 5,000 of the 60,000 training images are the validation split.

    Args:
        root: folder that holds, or will hold, ``MNIST/raw/`` or ``FashionMNIST/raw/``; the files
            are downloaded only where they are missing.
        image_size: side of the images, or height and width; resized bilinearly with
            antialiasing if it is not 28.
        val_size: training images, the last ones, that are held out for validation. With 0 all are
            trained on, as papers do, and the test images serve for validation, too.
        **kwargs: options of :class:`ImageDataModule`.

    Raises:
        ValueError: if an option is out of its range.
        FileNotFoundError: if the files are missing and cannot be downloaded.
    """

    channels = 1
    num_classes = 10
    source: type[MNIST]

    def __init__(
        self, *, root: str = "data", image_size: Size = 28, val_size: int = 5_000, **kwargs: Any
    ) -> None:
        require_at_least("val_size", val_size, 0)
        super().__init__(image_size=image_size, **kwargs)
        self.root = root
        self.val_size = val_size

    def prepare_data(self) -> None:
        """Unpack archives that are there already; download only what is missing."""
        name = self.source.__name__
        raw = Path(self.root, name, "raw")
        archives = [raw / file for file, _ in self.source.resources]
        for archive in archives:
            unpack(archive, archive.with_suffix(""))
        files = ", ".join(archive.name for archive in archives)
        download_or_explain(
            name, self.root, lambda: self.source(self.root, download=True), files, raw
        )

    def load(self, split: Split) -> tuple[Tensor, Tensor]:
        """Images ``(N, 1, 28, 28)`` and labels of one split."""
        part = self.source(self.root, train=not reads_test_files(split, self.val_size))
        rows = rows_of(split, self.val_size, len(part.data))
        return part.data[rows].unsqueeze(1), torch.as_tensor(part.targets[rows])


class MNISTDataModule(_IDXDataModule):
    """70,000 handwritten digits of 28x28 pixels (LeCun et al. 1998).

    By default the last 5,000 of the 60,000 training images are the validation split.
    """

    source = MNIST
    classes = tuple(map(str, range(10)))


class FashionMNISTDataModule(_IDXDataModule):
    """70,000 grey images of 28x28 pixels of clothes (Xiao et al. 2017, arXiv:1708.07747).

    By default the last 5,000 of the 60,000 training images are the validation split.
    """

    source = FashionMNIST
    classes = tuple(FashionMNIST.classes)


class StackedMNISTDataModule(_IDXDataModule):
    """Three random digits of MNIST as the channels of an image: 1,000 classes, to count modes.

    The data set of Metz et al. 2016 (arXiv:1611.02163), drawn once as in PacGAN
    (arXiv:1712.04086). Digits ``a``, ``b`` and ``c`` in red, green and blue have the label
    ``100 a + 10 b + c``. Which they are is a function of the split and its number alone; training
    images are of training digits, held-out ones of held-out digits.

    Args:
        n_images: training images.
        n_held_out: validation images, and as many test images.
        **kwargs: options of :class:`MNISTDataModule`; ``val_size`` is of digits.

    Raises:
        ValueError: if an option is out of its range.
        FileNotFoundError: if the files are missing and cannot be downloaded.
    """

    channels = 3
    num_classes = 1000
    classes = tuple(f"{triple:03}" for triple in range(1000))
    source = MNIST

    def __init__(self, *, n_images: int = 128_000, n_held_out: int = 10_000, **kwargs: Any) -> None:
        require_at_least("n_images", n_images, 1)
        require_at_least("n_held_out", n_held_out, 1)
        super().__init__(**kwargs)
        self.n_images = n_images
        self.n_held_out = n_held_out

    def load(self, split: Split) -> tuple[Tensor, Tensor]:
        """Images ``(N, 3, 28, 28)`` and labels of one split, the same at every call."""
        digits, labels = super().load(split)
        n = self.n_images if split == "train" else self.n_held_out
        generator = torch.Generator().manual_seed(("train", "val", "test").index(split))
        rows = torch.randint(len(digits), (n, 3), generator=generator)
        return digits[rows, 0], (labels[rows] * torch.tensor([100, 10, 1])).sum(1)
