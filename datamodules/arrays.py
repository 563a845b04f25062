"""Folders of arrays: 16 bits or floats, of any number of channels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageSequence
from torch import Tensor

from datamodules.augmentation import augment, centre_crop
from datamodules.base import ImageTensorDataset, Split
from datamodules.files import SPLITS, check_fraction, check_root, divide, split_folders
from datamodules.images import AugmentedDataModule
from datamodules.resizing import Size, resized
from gan_modules.tools.image_files import opened
from gan_modules.tools.image_values import (
    COLOUR,
    Range,
    ValueRangeError,
    check_value_range,
    deep_kind,
    deep_values,
)

__all__ = ["ArrayFolderDataModule", "read_array"]

ENDINGS = (".npy", ".tif", ".tiff")


def read_array(path: Path) -> NDArray[Any]:
    """An array of a file, shape ``(C, H, W)``.

    Args:
        path: ``.npy`` with ``(H, W)`` or ``(C, H, W)``, or a TIFF, whose pages are channels.

    Raises:
        ValueError: if it cannot be read, or holds something else than finite real numbers.
    """
    try:
        if path.suffix.lower() == ".npy":
            array: NDArray[Any] = np.load(path, allow_pickle=False)
        else:
            with opened(path) as file:
                pages = [_page(page) for page in ImageSequence.Iterator(file)]
            array = np.concatenate(pages, axis=2).transpose(2, 0, 1)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if array.ndim not in (2, 3) or array.dtype.kind not in "uif" or not array.size:
        raise ValueError(
            f"{path} holds {array.dtype} of shape {array.shape}: it must be numbers of shape "
            "(H, W) or (C, H, W)"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{path} holds NaN or infinity")
    return array[None] if array.ndim == 2 else array


def _page(page: Image.Image) -> NDArray[Any]:
    """Values of a page that is not yet loaded, shape ``(H, W, C)``."""
    kind = deep_kind(page)
    if kind == COLOUR:
        # in place of any error in reading, see opened
        raise ValueRangeError("of 16 bits per channel Pillow reads 8: write it as .npy")
    return np.atleast_3d(np.asarray(page) if kind is None else deep_values(page, kind))


class ArrayFolderDataModule(AugmentedDataModule):
    """Arrays in files, such as spectrograms, scans of 16 bits or satellite images, as floats.

    Either ``root/train/``, and ``root/val/`` and ``root/test/`` if they exist, are the splits, or
    ``root`` is divided at random. Files are ``.npy`` or TIFF, at any depth: see :func:`read_array`.
    They are read once, resized (bilinear, antialiased) and held in memory, four bytes a number;
    nothing is rounded to 8 bits. There are no classes.

    Args:
        root: the folder.
        image_size: side of the images that the model sees, or their height and width.
        channels: of every array.
        value_range: the values that become -1 and 1; what lies beyond is cut off. Of 16 bits, all
            of which are used, ``[0, 65535]``.
        val_fraction: part of the training arrays that is held out for validation where there is no
            ``root/val/``; one at least. Each is held out with this probability, by a hash of its
            path in ``root``.
        test_fraction: the same for test, of those that are left.
        **kwargs: options of :class:`AugmentedDataModule`; where ``resize`` is ``"fit"``, what is
            put beside is -1. ``seed`` also decides which files are held out; None counts as 0
            there.

    Raises:
        ValueError: if an option is out of its range, or (when the data is set up) a file cannot be
            read or has other channels.
        FileNotFoundError: if there is no such folder or no array in it.
    """

    num_classes = 0

    def __init__(
        self,
        *,
        root: str,
        image_size: Size,
        value_range: Range,
        channels: int = 1,
        val_fraction: float = 0.05,
        test_fraction: float = 0.05,
        **kwargs: Any,
    ) -> None:
        if channels < 1:
            raise ValueError(f"channels={channels} must be at least 1")
        check_fraction("val_fraction", val_fraction)
        check_fraction("test_fraction", test_fraction)
        check_value_range(value_range)
        super().__init__(image_size=image_size, **kwargs)
        self.channels = channels
        self.value_range = value_range
        self.fractions: dict[Split, float] = {"val": val_fraction, "test": test_fraction}
        self.folder = check_root(root)
        self.names: list[str] = []
        self._rows: dict[Split, Tensor] = {}
        for split, part in split_folders(self.folder):
            found = _files(self.folder, part)
            if not found:
                raise FileNotFoundError(f"{part} holds no arrays ({', '.join(ENDINGS)})")
            first = len(self.names)
            self.names += found
            self._rows[split] = torch.arange(first, len(self.names))

    def make_split(self, split: Split) -> ImageTensorDataset:
        """The arrays of a split, float in [-1, 1], of ``load_size``; labels are 0."""
        rows = self._rows
        if len(rows) < len(SPLITS):
            rows = divide(rows, self.names, self.fractions, self.seed or 0)
        images = torch.cat([self._read(self.names[row]) for row in rows[split].tolist()])
        return ImageTensorDataset(images, torch.zeros(len(images), dtype=torch.long))

    def _read(self, name: str) -> Tensor:
        array = read_array(self.folder / name)
        if len(array) != self.channels:
            raise ValueError(
                f"{self.folder / name} has {len(array)} channels: it must have "
                f"channels={self.channels}"
            )
        low, high = self.value_range
        # in double precision: integers of 32 bits are exact there
        shares = torch.from_numpy((array.astype(np.float64) - low) / (high - low)).clamp(0, 1)
        return resized(shares.float()[None], self.load_size, self.resize) * 2 - 1

    def finish(self, images: Tensor, draws: Tensor | None = None) -> Tensor:
        """Crop and flip images, which are float in [-1, 1] already."""
        if draws is not None:
            return augment(images, draws, self.image_size, self.flip)
        return centre_crop(images, self.image_size)


def _files(root: Path, part: Path) -> Sequence[str]:
    """Paths of the arrays in a part of a folder, without hidden ones, sorted."""
    found = (p.relative_to(root) for p in part.rglob("*") if p.suffix.lower() in ENDINGS)
    return sorted(p.as_posix() for p in found if not any(x.startswith(".") for x in p.parts))
