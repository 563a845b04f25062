"""Two domains of images that belong together in pairs."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from datamodules.base import ImageTensorDataset, Split
from datamodules.files import (
    SPLITS,
    check_channels,
    check_fraction,
    check_root,
    divide,
    split_folders,
)
from datamodules.images import AugmentedDataModule, checked_images
from datamodules.mapped import MappedDataset
from datamodules.resizing import Enlarged, Size, enlarged
from datamodules.store import ImageStore
from datamodules.stored import StoredDataModule
from gan_modules.tools.image_folders import FoundImages, find_images, grouped
from gan_modules.tools.image_values import Range, check_value_range

__all__ = ["PairDataModule", "PairedDataModule", "PairedFolderDataModule"]


class PairDataModule(AugmentedDataModule):
    """Base of the data modules of pairs: which batches they give.

    Batches are ``(images_a, images_b)``, a pair at each place: float in [-1, 1] of shape
    ``(N, C, H, W)``. Both images of a pair are cropped at the same place and mirrored together.
    In memory they lie one behind the other: ``splits["test"].images`` has the shape
    ``(N, 2 C, H, W)``, uint8.

    Args:
        **kwargs: options of :class:`AugmentedDataModule`.

    Raises:
        ValueError: if an option is out of its range.
    """

    num_classes = 0
    domains: Sequence[str] = ()
    """Names of A and B; empty where they have none."""

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Crop, flip and convert pairs, on the device, and take them apart."""
        pairs, _, *draws = batch
        images_a, images_b = self.finish(pairs, *draws).split(self.channels, dim=1)
        return images_a.contiguous(), images_b.contiguous()


class PairedDataModule(PairDataModule):
    """Base of the data sets of pairs in memory: a subclass says how to :meth:`load` a split.

    Args:
        **kwargs: options of :class:`PairDataModule`.

    Raises:
        ValueError: if an option is out of its range.
    """

    resizes = "stretch"

    @abstractmethod
    def load(self, split: Split) -> tuple[Tensor, Tensor, Tensor]:
        """Images of A and of B, uint8 ``(N, C, H, W)``, and labels of the pairs, ``(N,)``."""

    def make_split(self, split: Split) -> ImageTensorDataset:
        """What :meth:`load` gives, checked, resized and joined."""
        *domains, labels = self.load(split)
        source = f"{type(self).__name__}.load({split!r})"
        if len(domains[0]) != len(domains[1]):
            raise ValueError(
                f"{source} gives {len(domains[0])} images of domain A and {len(domains[1])} of "
                "domain B: they must be pairs"
            )
        a, b = (
            checked_images(
                f"{source}, domain {name},",
                x,
                labels,
                self.channels,
                self.load_size,
                resize=self.resize,
            )
            for name, x in zip("AB", domains, strict=True)
        )
        return ImageTensorDataset(torch.cat([a.images, b.images], dim=1), a.labels)


class PairedFolderDataModule(StoredDataModule, PairDataModule):
    """Pairs of images in folders, decoded once into a cache file.

    Either two folders of equal file names, endings aside: ``root/trainA/`` and ``root/trainB/``,
    and ``valA/``, ``valB/``, ``testA/`` and ``testB/`` where there are such. Or, with
    ``side_by_side``, files that hold A on the left and B on the right, as the data sets of pix2pix
    (Isola et al. 2016, arXiv:1611.07004) come: in ``root/train/``, and ``root/val/`` and
    ``root/test/`` if they exist, or anywhere in ``root``. Images are turned upright, put on white
    where they are transparent, cropped in the middle and resized. The defaults are
    pix2pix's.

    Args:
        root: the folder.
        image_size: side of the images that the model sees, or their height and width.
        load_size: size to which images are resized before they are cropped to ``image_size``, of a
            rectangle the longer side will do; at random in training, both of a pair at the same
            place; ``"enlarged"`` for 286 / 256 of
            it, as CycleGAN's official code has it, None for no crop.
        flip: mirror half of the training pairs left to right.
        channels: 3 for colour, 1 for grey, whatever the files hold.
        side_by_side: each file holds both images of a pair.
        swap: A is what the files call B, and on the right side by side: for a data set that goes
            the other way.
        val_fraction: part of the training pairs that is held out for validation where there are no
            such folders; one pair at least. Each is held out with this probability, by a hash of
            its path in ``root``, so that other files do not change what becomes of it.
        test_fraction: the same for test, of those that are left.
        cache_dir: where the decoded images are kept; None for ``gan_modules`` in
            ``$XDG_CACHE_HOME``, or in ``~/.cache`` where that is not set.
        skip_corrupt: leave out pairs that cannot be decoded, with a warning.
        value_range: the values of black and white in images with more than 8 bits per channel, and
            in those of floats; what lies beyond is cut off. None for what format and values say:
            they do where all bits of a usual range are in use; where nothing does, it is an error.
        **kwargs: options of :class:`PairDataModule`. ``seed`` also decides which pairs are held
            out; None counts as 0 there, so that no run's seed does.

    Raises:
        ValueError: if an option is out of its range, names do not match, or (when the data is
            prepared) files cannot be decoded or need a ``value_range``.
        FileNotFoundError: if a training folder is missing, or a folder holds no image.
    """

    def __init__(
        self,
        *,
        root: str,
        image_size: Size = 256,
        load_size: Size | Enlarged | None = "enlarged",
        flip: bool = True,
        channels: int = 3,
        side_by_side: bool = False,
        swap: bool = False,
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
        loaded = enlarged(load_size, image_size)
        super().__init__(image_size=image_size, load_size=loaded, flip=flip, **kwargs)
        self.channels = channels
        self.swap = swap
        self.fractions: dict[Split, float] = {"val": val_fraction, "test": test_fraction}
        folder = check_root(root)
        self._rows: dict[Split, Tensor] = {}
        files = FoundImages()
        partners: list[int] = []
        for split, parts in _parts(folder, side_by_side):
            found = [_images(folder, part) for part in parts]
            first = len(files.names)
            if len(parts) > 1:
                _match(root, parts, found)
            n = len(found[0].names)
            # the second of a pair follows as far behind; alone, a file is its own partner
            behind = n if len(parts) > 1 else 0
            self._rows[split] = torch.arange(first, first + n)
            partners += [*range(first + behind, first + behind + n), *[-1] * behind]
            for images in found:
                files.add(images)
        files.warn(f"root={root!r}")
        self._partners = torch.tensor(partners)
        self._joined = side_by_side
        self._divides = len(self._rows) < len(SPLITS)
        self._store = ImageStore(
            folder, files.names, self.load_size, channels, cache_dir, skip_corrupt, value_range,
            halves=side_by_side, resize=self.resize,
        )  # fmt: skip

    def make_split(self, split: Split) -> MappedDataset:
        """The pairs of a split, mapped from the cache file; labels are 0."""
        self._store.open()
        rows = self._divide()[split]
        labels = torch.zeros(len(rows), dtype=torch.long)
        if self._joined:
            return self._store.dataset(rows, labels)
        return self._store.pairs(rows, self._partners[rows], labels)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Crop, flip and convert pairs, on the device, and take them apart."""
        images_a, images_b = super().on_after_batch_transfer(batch, dataloader_idx)
        return (images_b, images_a) if self.swap else (images_a, images_b)

    def training_rows(self) -> Tensor:
        """Rows of the first images of the training pairs."""
        return self._divide()["train"]

    def _divide(self) -> dict[Split, Tensor]:
        """Rows of the first images of every split, without pairs of corrupt files."""
        good = self._store.good
        whole = {s: r[good[r] & good[self._partners[r]]] for s, r in self._rows.items()}
        return divide(whole, self._store.names, self.fractions, self.seed or 0)


def _parts(root: Path, side_by_side: bool) -> Iterator[tuple[Split, list[str]]]:
    """The splits that there are, with the folders of their images, in ``root``.

    Raises:
        FileNotFoundError: if there is no folder of training images.
        ValueError: if one of two folders is missing.
    """
    if side_by_side:
        for split, folder in split_folders(root):
            yield split, ["" if folder == root else folder.name]
        return
    for split in SPLITS:
        parts = [f"{split}A", f"{split}B"]
        missing = [part for part in parts if not (root / part).is_dir()]
        if split == "train" and missing:
            raise FileNotFoundError(
                f"root={str(root)!r} has no folder {missing[0]}: put the training images into "
                "trainA and trainB, or pass side_by_side=True if each file holds both"
            )
        if len(missing) == 1:
            raise ValueError(
                f"root={str(root)!r} has no folder {missing[0]}: val and test are pairs of "
                "folders, too"
            )
        if not missing:
            yield split, parts


def _images(root: Path, part: str) -> FoundImages:
    found = find_images(root, part)
    if not found.names:
        raise FileNotFoundError(found.none_in(str(root / part)))
    return found


def _match(root: str, parts: Sequence[str], found: Sequence[FoundImages]) -> None:
    """Have the images of both folders in one order.

    Raises:
        ValueError: if one has no partner, or several.
    """
    keys = []
    for part, images in zip(parts, found, strict=True):
        names = [str(PurePosixPath(n).relative_to(part).with_suffix("")) for n in images.names]
        twice = (
            sorted({name for name in names if names.count(name) > 1})
            if (len({*names}) < len(names))
            else []
        )
        if twice:
            raise ValueError(
                f"root={root!r} has several files {twice[0]} in {part}: pairs are found by their "
                "names without endings"
            )
        images.names = [name for _, name in sorted(zip(names, images.names, strict=True))]
        keys.append({*names})
    alone = {
        f"in {part} alone": sorted(own - other)
        for part, own, other in zip(parts, keys, reversed(keys), strict=True)
        if own - other
    }
    if alone:
        raise ValueError(
            f"root={root!r} must have pairs of equal names, endings aside: {grouped(alone)}"
        )
