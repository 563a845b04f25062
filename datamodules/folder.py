"""Any folder of images."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datamodules.base import Split
from datamodules.files import (
    check_channels,
    check_fraction,
    check_root,
    hold_out,
    image_files,
    subfolders,
)
from datamodules.images import AugmentedDataModule
from datamodules.store import ImageStore, MappedDataset

__all__ = ["ImageFolderDataModule"]

SPLITS: tuple[Split, ...] = ("train", "val", "test")


class ImageFolderDataModule(AugmentedDataModule):
    """Images of any size and format in a folder, decoded once into a cache file.

    Either ``root/train/``, and ``root/val/`` and ``root/test/`` if they exist, are the splits, or
    ``root`` is divided at random. In a split, each subfolder is a class, or all images lie
    directly in it and there are no classes. Images are turned upright, put on white where they are
    transparent, cropped in the middle to a square and resized. Data larger than the memory work:
    the cache file, ``load_size`` squared bytes per image and channel, is mapped.

    Args:
        root: the folder.
        image_size: side S of the images that the model sees.
        channels: 3 for colour, 1 for grey, whatever the files hold.
        val_fraction: part of the training images that is held out for validation where there is no
            ``root/val/``; one image at least.
        test_fraction: the same for test.
        cache_dir: where the decoded images are kept; None for ``gan_modules`` in
            ``$XDG_CACHE_HOME``, or in ``~/.cache`` where that is not set.
        skip_corrupt: leave out files that cannot be decoded, with a warning.
        **kwargs: options of :class:`AugmentedDataModule`. ``seed`` also decides which images are
            held out; None counts as 0 there, so that no run's seed does.

    Attributes:
        classes: names of the classes, sorted; empty where there are none.

    Raises:
        ValueError: if an option is out of its range, the folders do not fit together, or (when the
            data is prepared) files cannot be decoded.
        FileNotFoundError: if there is no such folder or no image in it.
    """

    def __init__(
        self,
        *,
        root: str,
        image_size: int,
        channels: int = 3,
        val_fraction: float = 0.05,
        test_fraction: float = 0.05,
        cache_dir: str | None = None,
        skip_corrupt: bool = False,
        **kwargs: Any,
    ) -> None:
        check_channels(channels)
        check_fraction("val_fraction", val_fraction)
        check_fraction("test_fraction", test_fraction)
        super().__init__(image_size=image_size, **kwargs)
        self.channels = channels
        self.fractions: dict[Split, float] = {"val": val_fraction, "test": test_fraction}
        folder = check_root(root)
        self.classes = []
        self._rows: dict[Split, range] = {}
        names: list[str] = []
        labels: list[int] = []
        for split, part in _split_folders(folder):
            classes, found, numbers = _scan(part)
            if not found:
                raise FileNotFoundError(f"{part} holds no images (.png, .jpg, ...)")
            if self._rows and classes != self.classes:
                raise ValueError(
                    f"{part} has {_list(classes)}, but {folder / 'train'} has "
                    f"{_list(self.classes)}: they must agree"
                )
            self.classes = classes
            self._rows[split] = range(len(names), len(names) + len(found))
            prefix = "" if part == folder else f"{part.name}/"
            names += [prefix + name for name in found]
            labels += numbers
        self.num_classes = len(self.classes)
        self._labels = torch.tensor(labels)
        self._store = ImageStore(folder, names, self.load_size, channels, cache_dir, skip_corrupt)

    def prepare_data(self) -> None:
        """Decode all images, unless they are in the cache."""
        self._store.open()

    def make_split(self, split: Split) -> MappedDataset:
        """The images of a split, mapped from the cache file."""
        self._store.open()
        rows = self._divide()[split]
        return self._store.dataset(rows, self._labels[rows])

    def _divide(self) -> dict[Split, Tensor]:
        """Rows of every split, without those of corrupt files."""
        whole = {split: torch.arange(r.start, r.stop) for split, r in self._rows.items()}
        rows = {split: r[self._store.good[r]] for split, r in whole.items()}
        n, seed = len(rows["train"]), self.seed or 0
        for split, fraction in self.fractions.items():
            if split not in rows:
                count = max(1, round(fraction * n))
                rows["train"], rows[split] = hold_out(rows["train"], count, seed, split)
        return rows


def _split_folders(root: Path) -> Iterator[tuple[Split, Path]]:
    """The folders of the splits that exist; the whole root as training data where none do."""
    present = [split for split in SPLITS if (root / split).is_dir()]
    if not present:
        yield "train", root
        return
    if "train" not in present:
        raise ValueError(f"{root} has {present[0]}/ but no train/: name it {root / 'train'}")
    others = [name for name in subfolders(root) if name not in SPLITS]
    strays = [name for name in others if image_files(root / name)] or image_files(root, deep=False)
    if strays:
        raise ValueError(
            f"{root} has train/ and, beside it, images in {strays[0]}: move them into one of the "
            "splits, or give root a folder that holds only classes or only train/, val/ and test/"
        )
    yield from ((split, root / split) for split in present)


def _scan(folder: Path) -> tuple[list[str], list[str], list[int]]:
    """Names of classes, paths of images within the folder and their classes."""
    files = image_files(folder)
    loose = [name for name in files if "/" not in name]
    if not loose:
        classes = sorted({name.split("/", 1)[0] for name in files})
        number = {name: i for i, name in enumerate(classes)}
        return classes, files, [number[name.split("/", 1)[0]] for name in files]
    if len(loose) < len(files):
        raise ValueError(
            f"{folder} holds images ({loose[0]}, ...) beside folders of images: put all of them "
            "into folders, one per class, or none"
        )
    return [], files, [0] * len(files)


def _list(classes: list[str]) -> str:
    if not classes:
        return "no classes"
    return f"classes {', '.join(classes[:10])}" + (", ..." if len(classes) > 10 else "")
