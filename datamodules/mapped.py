"""Data sets of images in a file of raw pixels, which is mapped into memory."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datamodules.base import ImageTensorDataset

__all__ = ["MappedDataset", "MappedPairs"]

BLOCK = 2**26  # bytes that are read at a time to be moved to a device


class MappedDataset(ImageTensorDataset):
    """Some images of an image store, read from the disk when they are asked for.

    Args:
        path: file of the store.
        shape: of all images in it, ``(N, C, H, W)``.
        rows: which of them belong to the data set, shape ``(M,)``.
        labels: integer classes, shape ``(M,)``.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], rows: Tensor, labels: Tensor) -> None:
        self.path, self.shape, self.rows, self.labels = path, shape, rows, labels
        self._map()

    def _map(self) -> None:
        # read only: a private mapping of more than the memory would be refused
        self._pixels = np.asarray(np.memmap(self.path, np.uint8, "r", shape=self.shape))

    @property
    def images(self) -> Tensor:  # type: ignore[override]
        """All images of the data set, read into memory, shape ``(M, C, H, W)``."""
        return self.take(torch.arange(len(self)))

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of one image."""
        return self.shape[1:]

    def take(self, indices: Tensor) -> Tensor:
        """The images at the given places, read into memory."""
        return torch.from_numpy(self._pixels[self.rows[indices].numpy()])

    def to(self, device: torch.device) -> ImageTensorDataset:
        """All images read into the memory of a device, block by block; a plain data set."""
        shape = len(self), *self.image_shape
        images = torch.empty(shape, dtype=torch.uint8, device=device)
        size = max(1, BLOCK // math.prod(shape[1:]))
        for place, rows in zip(
            images.split(size), torch.arange(len(self)).split(size), strict=True
        ):
            place.copy_(self.take(rows))
        return ImageTensorDataset(images, self.labels.to(device))

    def __getstate__(self) -> dict[str, Any]:
        # workers map the file themselves
        return {name: value for name, value in vars(self).items() if name != "_pixels"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._map()


class MappedPairs(MappedDataset):
    """Pairs of images of a store, one behind the other along the channels.

    Args:
        path: file of the store.
        shape: of all images in it, ``(N, C, H, W)``.
        rows: of the first image of each pair, shape ``(M,)``.
        partners: of the second, shape ``(M,)``.
        labels: integer classes, shape ``(M,)``.
    """

    def __init__(
        self, path: Path, shape: tuple[int, ...], rows: Tensor, partners: Tensor, labels: Tensor
    ) -> None:
        super().__init__(path, shape, rows, labels)
        self.partners = partners

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of one pair, ``(2 C, H, W)``."""
        channels, *size = self.shape[1:]
        return 2 * channels, *size

    def take(self, indices: Tensor) -> Tensor:
        """The pairs at the given places, read into memory."""
        second = torch.from_numpy(self._pixels[self.partners[indices].numpy()])
        return torch.cat([super().take(indices), second], dim=1)
