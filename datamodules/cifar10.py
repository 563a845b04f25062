"""CIFAR-10, unpacked once into one tensor."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.datasets import CIFAR10

from datamodules.base import Split, require_at_least
from datamodules.downloads import download_or_explain, unpack
from datamodules.held_out import reads_test_files, rows_of
from datamodules.images import ImageDataModule
from datamodules.resizing import Size

__all__ = ["CIFAR10DataModule"]


class CIFAR10DataModule(ImageDataModule):
    """60,000 colour images of 32x32 pixels in 10 classes (Krizhevsky 2009).

    By default the last 5,000 of the 50,000 training images are the validation split.

    Args:
        root: folder that holds, or will hold, ``cifar-10-batches-py/``; downloaded only where it
            is missing.
        image_size: side of the images, or height and width; resized bilinearly with
            antialiasing if it is not 32.
        val_size: training images, the last ones, that are held out for validation. With 0 all are
            trained on, as papers do, and the test images serve for validation, too.
        **kwargs: options of :class:`ImageDataModule`.

    Raises:
        ValueError: if an option is out of its range.
        FileNotFoundError: if the files are missing or damaged and cannot be downloaded.
    """

    channels = 3
    num_classes = 10
    classes = (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    )  # fmt: skip

    def __init__(
        self, *, root: str = "data", image_size: Size = 32, val_size: int = 5_000, **kwargs: Any
    ) -> None:
        require_at_least("val_size", val_size, 0)
        super().__init__(image_size=image_size, **kwargs)
        self.root = root
        self.val_size = val_size

    def prepare_data(self) -> None:
        """Unpack an archive that is there already; download only what is missing."""
        archive = Path(self.root, CIFAR10.filename)
        unpack(archive, Path(self.root, CIFAR10.base_folder))
        download_or_explain(
            "CIFAR-10",
            self.root,
            lambda: CIFAR10(self.root, download=True),
            CIFAR10.filename,
            Path(self.root),
        )

    def load(self, split: Split) -> tuple[Tensor, Tensor]:
        """Images ``(N, 3, 32, 32)`` and labels of one split."""
        part = CIFAR10(self.root, train=not reads_test_files(split, self.val_size))
        rows = rows_of(split, self.val_size, len(part.data))
        # torchvision turns the files' (N, C, H, W) into (N, H, W, C)
        images = torch.from_numpy(part.data[rows]).permute(0, 3, 1, 2)
        return images, torch.as_tensor(part.targets[rows])
