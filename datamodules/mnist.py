"""MNIST, decoded once into one tensor."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.datasets import MNIST
from torchvision.datasets.utils import extract_archive

from datamodules.base import ImageDataModule, Split

__all__ = ["MNISTDataModule"]


class MNISTDataModule(ImageDataModule):
    """70,000 handwritten digits of 28x28 pixels (LeCun et al. 1998).

    The last 5,000 of the 60,000 training images are the validation split.

    Args:
        root: folder that holds, or will hold, ``MNIST/raw/``; the files are downloaded only where
            they are missing.
        image_size: side of the images, resized bilinearly with antialiasing if it is not 28.
        **kwargs: options of :class:`ImageDataModule`.

    Raises:
        ValueError: if an option is out of its range.
        FileNotFoundError: if the files are missing and cannot be downloaded.
    """

    channels = 1
    num_classes = 10

    def __init__(self, *, root: str = "data", image_size: int = 28, **kwargs: Any) -> None:
        super().__init__(image_size=image_size, **kwargs)
        self.root = root

    def prepare_data(self) -> None:
        """Unpack archives that are there already; download only what is missing."""
        raw = Path(self.root, "MNIST", "raw")
        for name, _ in MNIST.resources:
            archive = raw / name
            if archive.is_file() and not archive.with_suffix("").is_file():
                # as torchvision would, were the archive packed exactly as the one it knows
                extract_archive(str(archive), str(raw))
        try:
            MNIST(self.root, download=True)
        except (OSError, RuntimeError) as error:
            files = ", ".join(Path(name).name for name, _ in MNIST.resources)
            reason = " ".join(str(error).split())[:200]
            raise FileNotFoundError(
                f"MNIST is not in root={self.root!r} and cannot be downloaded: put {files} "
                f"into {raw} ({reason})"
            ) from error

    def load(self, split: Split) -> tuple[Tensor, Tensor]:
        """Images ``(N, 1, 28, 28)`` and labels of one split."""
        part = MNIST(self.root, train=split != "test")
        first, last = {"train": (0, -5_000), "val": (-5_000, None), "test": (0, None)}[split]
        return part.data[first:last].unsqueeze(1), torch.as_tensor(part.targets[first:last])
