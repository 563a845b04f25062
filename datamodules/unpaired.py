"""Two domains of images that do not belong together in pairs."""

import re
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.base import ImageTensorDataset, Split
from datamodules.files import check_channels, check_fraction, check_root, hold_out
from datamodules.images import AugmentedDataModule, checked_images
from datamodules.resizing import Enlarged, Size, enlarged
from datamodules.sampling import JoinedSampler
from datamodules.store import ImageStore
from datamodules.stored import StoredDataModule
from gan_modules.seeding import derive_seed
from gan_modules.tools.image_folders import FoundImages, find_images
from gan_modules.tools.image_values import Range, check_value_range

__all__ = [
    "TwoDomainDataModule",
    "UnpairedDataModule",
    "UnpairedDataset",
    "UnpairedFolderDataModule",
]


class UnpairedDataset(Dataset[tuple[Any, Any]]):
    """One split of both domains, indexed by a batch of indices for each.

    Args:
        a: images of the first domain.
        b: images of the second; any other number.
    """

    def __init__(self, a: ImageTensorDataset, b: ImageTensorDataset) -> None:
        self.a, self.b = a, b

    def __len__(self) -> int:
        return max(len(self.a), len(self.b))

    def __getitem__(self, item: tuple[Any, Any]) -> tuple[Any, Any]:
        return self.a[item[0]], self.b[item[1]]

    def to(self, device: torch.device) -> "UnpairedDataset":
        """The same images in the memory of a device."""
        return UnpairedDataset(self.a.to(device), self.b.to(device))


class TwoDomainDataModule(AugmentedDataModule):
    """Base of the data modules of two domains: which batches they give.

    Batches are ``(images_a, images_b)``, equally many: float in [-1, 1] of shape ``(N, C, H, W)``.
    In training, each domain is shuffled, cropped and flipped on its own; held-out images come in
    their order. An epoch is as long as the longer domain, the shorter one goes round.
    ``splits["test"].a`` and ``.b`` hold images and labels of each domain as they lie in memory,
    uint8, in the order of the test batches.

    Args:
        **kwargs: options of :class:`AugmentedDataModule`.

    Raises:
        ValueError: if an option is out of its range.
    """

    num_classes = 0
    domains: Sequence[str] = ()
    """Names of A and B; empty where they have none."""

    def training_sampler(self, dataset: UnpairedDataset) -> JoinedSampler:
        """Batches of both domains, each shuffled by a seed of its own."""
        n = len(dataset)
        a = self._shuffled(dataset.a, self.order_seed, n)
        b = self._shuffled(dataset.b, derive_seed(self.order_seed, "b"), n)
        return JoinedSampler(a, b)

    def evaluation_sampler(self, dataset: UnpairedDataset) -> JoinedSampler:
        """Both domains in order, the shorter one begun again."""
        n = len(dataset)
        return JoinedSampler(self._in_order(dataset.a, n), self._in_order(dataset.b, n))

    def reference_sampler(self, dataset: UnpairedDataset) -> JoinedSampler:
        """Both domains in order, each image once; the shorter one ends in empty batches."""
        a, b = self._in_order(dataset.a), self._in_order(dataset.b)
        a.batches, b.batches = (
            (*batches, *[torch.empty(0, dtype=torch.long)] * (max(len(a), len(b)) - len(batches)))
            for batches in (a.batches, b.batches)
        )
        return JoinedSampler(a, b)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Crop, flip and convert the images of both domains, on the device."""
        (images_a, _, *draws_a), (images_b, _, *draws_b) = batch
        return self.finish(images_a, *draws_a), self.finish(images_b, *draws_b)


class UnpairedDataModule(TwoDomainDataModule):
    """Base of the data sets of two domains in memory: a subclass says how to :meth:`load` a split.

    Args:
        **kwargs: options of :class:`TwoDomainDataModule`.

    Raises:
        ValueError: if an option is out of its range.
    """

    resizes = "stretch"

    @abstractmethod
    def load(self, split: Split) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Images, uint8 ``(N, C, H, W)``, and labels, ``(N,)``, of domain A, and those of B."""

    def make_split(self, split: Split) -> UnpairedDataset:
        """What :meth:`load` gives, checked and resized."""
        a, b = (
            checked_images(
                f"{type(self).__name__}.load({split!r}), domain {name},",
                *domain,
                self.channels,
                self.load_size,
                resize=self.resize,
            )
            for name, domain in zip("AB", self.load(split), strict=True)
        )
        return UnpairedDataset(a, b)


class UnpairedFolderDataModule(StoredDataModule, TwoDomainDataModule):
    """Two folders of images, ``root/trainA/`` and ``root/trainB/``, decoded once into a cache.

    This is how the data sets of CycleGAN (Zhu et al. 2017, arXiv:1703.10593) come, and the
    defaults are its own. ``root/testA/`` and ``root/testB/`` serve for validation and test; where
    one is missing, a part of the training images of its domain is held out. Images are turned
    upright, put on white where they are transparent, cropped in the middle and resized.

    Args:
        root: the folder that holds the four.
        image_size: side of the images that the model sees, or their height and width.
        load_size: size to which images are resized before they are cropped to ``image_size``, of a
            rectangle the longer side will do; at random in training; ``"enlarged"`` for 286 / 256
            of it, as CycleGAN's official code has it, None for no crop.
        flip: mirror half of the training images left to right.
        channels: 3 for colour, 1 for grey, whatever the files hold.
        test_fraction: part of the training images that is held out where there is no test folder;
            one image at least. Each is held out with this probability, by a hash of its path in
            ``root``, so that other files do not change what becomes of it.
        cache_dir: where the decoded images are kept; None for ``gan_modules`` in
            ``$XDG_CACHE_HOME``, or in ``~/.cache`` where that is not set.
        skip_corrupt: leave out files that cannot be decoded, with a warning.
        value_range: the values of black and white in images with more than 8 bits per channel, and
            in those of floats; what lies beyond is cut off. None for what format and values say:
            they do where all bits of a usual range are in use; where nothing does, it is an error.
        **kwargs: options of :class:`TwoDomainDataModule`. ``seed`` also decides which images are
            held out; None counts as 0 there, so that no run's seed does.

    Attributes:
        domains: ``("horse", "zebra")`` of a folder called ``horse2zebra``; empty for other names.

    Raises:
        ValueError: if an option is out of its range, or (when the data is prepared) files cannot
            be decoded or need a ``value_range``.
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
        test_fraction: float = 0.05,
        cache_dir: str | None = None,
        skip_corrupt: bool = False,
        value_range: Range | None = None,
        **kwargs: Any,
    ) -> None:
        check_channels(channels)
        check_fraction("test_fraction", test_fraction)
        check_value_range(value_range)
        loaded = enlarged(load_size, image_size)
        super().__init__(image_size=image_size, load_size=loaded, flip=flip, **kwargs)
        self.channels = channels
        self.test_fraction = test_fraction
        folder = check_root(root)
        pair = re.fullmatch(r"([^\W\d]+)2([^\W\d]+)", folder.resolve().name)
        self.domains = () if pair is None else pair.groups()
        self._rows: dict[str, range] = {}
        files = FoundImages()
        for part in ("trainA", "trainB", "testA", "testB"):
            if not (folder / part).is_dir():
                if part.startswith("test"):
                    continue
                raise FileNotFoundError(
                    f"root={root!r} has no folder {part}: put the training images of the two "
                    "domains into trainA and trainB, those for test into testA and testB"
                )
            found = find_images(folder, part)
            if not found.names:
                raise FileNotFoundError(found.none_in(str(folder / part)))
            self._rows[part] = range(len(files.names), len(files.names) + len(found.names))
            files.add(found)
        files.warn(f"root={root!r}")
        self._divides = len(self._rows) < 4
        self._store = ImageStore(
            folder, files.names, self.load_size, channels, cache_dir, skip_corrupt, value_range,
            resize=self.resize,
        )  # fmt: skip

    def make_split(self, split: Split) -> UnpairedDataset:
        """The images of both domains, mapped from the cache file; labels are 0."""
        self._store.open()
        a, b = (
            self._store.dataset(rows, torch.zeros(len(rows), dtype=torch.long))
            for rows in (self._divide(domain, split) for domain in "AB")
        )
        return UnpairedDataset(a, b)

    def training_rows(self) -> Tensor:
        """Rows of the training images of both domains."""
        return torch.cat([self._divide(domain, "train") for domain in "AB"])

    def _divide(self, domain: str, split: Split) -> Tensor:
        """Rows of a domain in a split, without those of corrupt files."""
        rows = {
            name: torch.arange(r.start, r.stop)[self._store.good[r.start : r.stop]]
            for name, r in self._rows.items()
        }
        train, test = rows[f"train{domain}"], rows.get(f"test{domain}")
        if test is None:
            train, test = hold_out(
                train, self._store.names, self.test_fraction, self.seed or 0, domain
            )
        return train if split == "train" else test
