"""Any folder of images."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datamodules.base import Split
from datamodules.files import (
    SPLITS,
    check_channels,
    check_fraction,
    check_root,
    divide,
    split_folders,
)
from datamodules.images import AugmentedDataModule
from datamodules.mapped import MappedDataset
from datamodules.resizing import Size
from datamodules.store import ImageStore
from datamodules.stored import StoredDataModule
from gan_modules.tools.image_folders import FoundImages, find_images
from gan_modules.tools.image_values import Range, check_value_range

__all__ = ["ImageFolderDataModule"]


class ImageFolderDataModule(StoredDataModule, AugmentedDataModule):
    """Images of any size and format in a folder, decoded once into a cache file.

    Either ``root/train/``, and ``root/val/`` and ``root/test/`` if they exist, are the splits, or
    ``root`` is divided at random. In a split, each subfolder is a class, or all images lie
    directly in it and there are no classes. Images are turned upright, put on white where they are
    transparent, cropped in the middle and resized. Data larger than the memory work:
    the cache file, a byte per pixel and channel, is mapped. What is no image
    is left out with a warning, hidden folders aside.

    Args:
        root: the folder.
        image_size: side of the images that the model sees, or their height and width.
        channels: 3 for colour, 1 for grey, whatever the files hold.
        val_fraction: part of the training images that is held out for validation where there is no
            ``root/val/``; one image at least. Each is held out with this probability, by a hash of
            its path in ``root``, so that other files do not change what becomes of it.
        test_fraction: the same for test, of those that are left.
        cache_dir: where the decoded images are kept; None for ``gan_modules`` in
            ``$XDG_CACHE_HOME``, or in ``~/.cache`` where that is not set.
        skip_corrupt: leave out files that cannot be decoded, with a warning.
        value_range: the values of black and white in images with more than 8 bits per channel, and
            in those of floats; what lies beyond is cut off. None for what format and values say:
            they do where all bits of a usual range are in use; where nothing does, it is an error.
        **kwargs: options of :class:`AugmentedDataModule`. ``seed`` also decides which images are
            held out; None counts as 0 there, so that no run's seed does.

    Attributes:
        classes: names of the classes, sorted; empty where there are none.

    Raises:
        ValueError: if an option is out of its range, the folders do not fit together, or (when the
            data is prepared) files cannot be decoded or need a ``value_range``.
        FileNotFoundError: if there is no such folder or no image in it.
    """

    def __init__(
        self,
        *,
        root: str,
        image_size: Size,
        channels: int = 3,
        val_fraction: float = 0.05,
        test_fraction: float = 0.05,
        cache_dir: str | None = None,
        skip_corrupt: bool = False,
        value_range: Range | None = None,
        **kwargs: Any,
    ) -> None:
        check_channels(channels)
        check_fraction("val_fraction", val_fraction)
        check_fraction("test_fraction", test_fraction)
        check_value_range(value_range)
        super().__init__(image_size=image_size, **kwargs)
        self.channels = channels
        self.fractions: dict[Split, float] = {"val": val_fraction, "test": test_fraction}
        folder = check_root(root)
        self.classes = []
        self._rows: dict[Split, range] = {}
        files = FoundImages()
        labels: list[int] = []
        for split, part in split_folders(folder):
            found = find_images(folder, "" if part == folder else part.name)
            if not found.names:
                raise FileNotFoundError(found.none_in(str(part)))
            classes, numbers = _scan(part, found.names, 0 if part == folder else 1)
            if self._rows and classes != self.classes:
                raise ValueError(
                    f"{part} has {_list(classes)}, but {folder / 'train'} has "
                    f"{_list(self.classes)}: they must agree"
                )
            self.classes = classes
            self._rows[split] = range(len(labels), len(labels) + len(numbers))
            labels += numbers
            files.add(found)
        files.warn(f"root={root!r}")
        self.num_classes = len(self.classes)
        self._labels = torch.tensor(labels)
        self._divides = len(self._rows) < len(SPLITS)
        self._store = ImageStore(
            folder, files.names, self.load_size, channels, cache_dir, skip_corrupt, value_range,
            resize=self.resize,
        )  # fmt: skip

    def make_split(self, split: Split) -> MappedDataset:
        """The images of a split, mapped from the cache file."""
        self._store.open()
        rows = self._divide()[split]
        return self._store.dataset(rows, self._labels[rows])

    def training_rows(self) -> Tensor:
        """Rows of the training split."""
        return self._divide()["train"]

    def _divide(self) -> dict[Split, Tensor]:
        """Rows of every split, without those of corrupt files."""
        whole = {split: torch.arange(r.start, r.stop) for split, r in self._rows.items()}
        rows = {split: r[self._store.good[r]] for split, r in whole.items()}
        return divide(rows, self._store.names, self.fractions, self.seed or 0)


def _scan(folder: Path, files: list[str], depth: int) -> tuple[list[str], list[int]]:
    """Names of classes, and the class of each path, which begins with ``depth`` other folders."""
    parts = [name.split("/", depth + 1)[depth:] for name in files]
    loose = [rest[0] for rest in parts if len(rest) == 1]
    if not loose:
        classes = sorted({rest[0] for rest in parts})
        number = {name: i for i, name in enumerate(classes)}
        return classes, [number[rest[0]] for rest in parts]
    if len(loose) < len(files):
        raise ValueError(
            f"{folder} holds images ({loose[0]}, ...) beside folders of images: put all of them "
            "into folders, one per class, or none"
        )
    return [], [0] * len(files)


def _list(classes: list[str]) -> str:
    if not classes:
        return "no classes"
    return f"classes {', '.join(classes[:10])}" + (", ..." if len(classes) > 10 else "")
