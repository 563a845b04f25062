"""The real images that generated ones are compared with: each split in order, every image once."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from gan_modules.metrics.cache import digest
from gan_modules.metrics.randomness import seed_generators
from gan_modules.training.batches import Batch, as_batch, check_images

__all__ = ["Index", "RealData", "Split", "subset_rows"]

Split = Literal["train", "val", "test"]
STAGES: dict[Split, str] = {"train": "fit", "val": "validate", "test": "test"}


@dataclass(frozen=True)
class Index:
    """What going through a split once has shown."""

    count: int
    """Number of images, of all processes."""
    fingerprint: str
    """A short name for the images and labels, as the model sees them."""


class RealData:
    """Real images of a trainer's data, shared by its processes.

    A DataModule may say itself how to read them, by a method ``reference_dataloader(split)`` whose
    loader gives this process's share of a split in order: image ``rank + i x processes`` as its
    i-th, without augmentation, as those here do. Any other loader of a data set is rebuilt to read
    it in order. What its data set draws from torch is the same at every reading: torch is seeded,
    so that this is to be used where the random state is put back afterwards.

    Args:
        trainer: while it is fitting, validating or testing.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self._indices: dict[tuple[Split, int], Index] = {}

    @property
    def name(self) -> str:
        """Name of the DataModule's class, without ``DataModule``; empty without one."""
        data = getattr(self.trainer, "datamodule", None)
        return "" if data is None else type(data).__name__.removesuffix("DataModule")

    def index(self, split: Split, member: int = 0) -> Index:
        """Number and fingerprint of the images of a split, found by reading it once.

        Raises:
            ValueError: if there is no such split, or it is empty.
        """
        if (split, member) not in self._indices:
            sums = torch.zeros(2, dtype=torch.long, device=self.trainer.strategy.root_device)
            for positions, batch in self.batches(split, member):
                sums[0] += len(positions)
                sums[1] += _checksum(positions, batch, member)
            # 64 bits that wrap around: the sum is the same for any number of processes
            count, checksum = self.trainer.strategy.reduce(sums, reduce_op="sum").tolist()
            if not count:
                raise ValueError(f"there are no {split} images to compare with")
            self._indices[split, member] = Index(count, digest(count, checksum))
        return self._indices[split, member]

    def batches(self, split: Split, member: int = 0) -> Iterator[tuple[Tensor, Batch]]:
        """This process's share of a split, as the model sees it: on the device, in [-1, 1].

        Args:
            split: which one.
            member: 1 to be told the positions of the second images of each pair.

        Yields:
            The positions in the split of the batch's images, shape ``(N,)``, and the batch.

        Raises:
            ValueError: if there is no such split, or the images are not such.
        """
        rank, ranks, seen = self.trainer.global_rank, self.trainer.world_size, 0
        seed_generators(0, self.trainer.strategy.root_device)
        for raw in self._loader(split):
            batch = as_batch(self.trainer.strategy.batch_to_device(raw))
            images = batch[member]
            if images is None or not len(images):
                continue
            if not seen:
                check_images(images)
            number = torch.arange(seen, seen + len(images))
            seen += len(images)
            yield (rank + ranks * number).to(images.device), batch

    def first(self, split: Split, member: int = 0) -> Batch:
        """One batch of a split, to see what it holds.

        Raises:
            ValueError: if there is no such split, or it is empty.
        """
        for _, batch in self.batches(split, member):
            return batch
        raise ValueError(f"there are no {split} images to compare with")

    @contextmanager
    def progress(self, description: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show on the trainer's progress bar, if it can, how much of something long is done.

        Args:
            description: of what is done.
            total: how much there is to do.

        Yields:
            A function to be told how much more is done.
        """
        part = getattr(self.trainer.progress_bar_callback, "part", None)
        if part is None:
            yield lambda more: None
        else:
            with part(description, total) as advance:
                yield advance

    def has(self, split: Split) -> bool:
        """Whether there are such images."""
        return self._find(split) is not None

    def _loader(self, split: Split) -> Iterable[Any]:
        found = self._find(split)
        if found is None:
            raise ValueError(
                f"the metrics need the {split} images, for which there is no DataLoader here: "
                "give the trainer a DataModule, or set reference to a split that is there"
            )
        return found

    def _find(self, split: Split) -> Iterable[Any] | None:
        data: Any = getattr(self.trainer, "datamodule", None)
        if hasattr(data, "reference_dataloader"):
            loader: Iterable[Any] = data.reference_dataloader(split)
            return loader
        found = {
            "train": self.trainer.train_dataloader,
            "val": self.trainer.val_dataloaders,
            "test": self.trainer.test_dataloaders,
        }[split]
        if found is None and data is not None and is_overridden(f"{split}_dataloader", data):
            data.setup(STAGES[split])
            found = getattr(data, f"{split}_dataloader")()
        while isinstance(found, (dict, list, tuple)):
            found = next(iter(found.values() if isinstance(found, dict) else found), None)
        return None if found is None else self._in_order(found)

    def _in_order(self, loader: Any) -> Any:
        """A loader of the same data set in order; shuffling and persistent workers are left out."""
        if not isinstance(loader, DataLoader):
            return loader
        options: dict[str, Any] = {
            "collate_fn": loader.collate_fn,
            "num_workers": loader.num_workers,
        }
        if loader.batch_sampler is None:
            # its sampler gives whole batches
            return DataLoader(loader.dataset, None, sampler=loader.sampler, **options)
        options["batch_size"] = loader.batch_size or 64
        if isinstance(loader.dataset, IterableDataset):
            return DataLoader(loader.dataset, **options)
        rank, ranks = self.trainer.global_rank, self.trainer.world_size
        share = range(rank, len(loader.dataset), ranks)  # type: ignore[arg-type]
        return DataLoader(loader.dataset, sampler=share, **options)


def subset_rows(count: int, limit: int) -> Tensor:
    """A row for some of the positions in a split, the same choice at every call.

    Args:
        count: number of positions.
        limit: how many are chosen at most.

    Returns:
        Shape ``(count,)``: rows 0, 1, ... for the positions that are chosen, in random order, and
        -1 for the others.
    """
    rows = torch.full((count,), -1)
    chosen = torch.randperm(count, generator=torch.Generator().manual_seed(0))[:limit]
    rows[chosen] = torch.arange(len(chosen))
    return rows


PICKED = 1024  # pixels of an image that are looked at one by one


def _checksum(positions: Tensor, batch: Batch, member: int) -> int:
    """A signed number of 64 bits that changes with any image, label or position.

    Each image is known by some of its pixels and the sum of all, in fixed point, which does not
    depend on the order of summing.
    """
    images, second = batch[member], batch[1]
    assert images is not None
    pixels = (images.detach().flatten(1).double().cpu() * 2**20).round().long()
    picked = pixels[:, :: -(-pixels.shape[1] // PICKED)]
    parts = [positions.cpu()[:, None], pixels.sum(dim=1, keepdim=True), picked]
    if member == 0 and second is not None and not second.is_floating_point():
        parts.append(second.cpu().long().reshape(len(second), -1))
    shape = str(tuple(images.shape[1:])).encode()
    total = 0
    for row in torch.cat(parts, dim=1).numpy():
        total += int.from_bytes(hashlib.blake2b(row.data, digest_size=8, key=shape).digest())
    return (total + 2**63) % 2**64 - 2**63
