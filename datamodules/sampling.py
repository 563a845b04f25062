"""Orders of images: batches of indices that a resumed run and every rank can work out alone."""

from collections.abc import Iterator, Sized
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor
from torch.utils.data import DistributedSampler

__all__ = ["InOrderSampler", "IterationSampler"]


class IterationSampler(DistributedSampler[Any]):
    """Batches of indices, each a function of (seed, number of the batch) and nothing else.

    Epoch ``e`` is the permutation drawn from ``seed + e``, cut into batches, the rest left out.
    Iterating starts at the batch that the trainer has come to, so that a run resumed in the middle
    of an epoch sees what an uninterrupted one would have seen. Lightning replaces any sampler it
    does not know to be distributed; this one shards itself, every rank taking each
    ``num_replicas``-th index of a global batch.

    Args:
        dataset: only its length is used.
        batch_size: indices per batch and rank.
        seed: of the permutations.
        num_replicas: number of ranks.
        rank: of this process.
        trainer: whose progress decides where to start; None starts at the beginning.

    Raises:
        ValueError: if the data set is smaller than one batch on every rank.
    """

    def __init__(
        self,
        dataset: Sized,
        batch_size: int,
        seed: int = 0,
        num_replicas: int = 1,
        rank: int = 0,
        trainer: Trainer | None = None,
    ) -> None:
        super().__init__(dataset, num_replicas, rank, shuffle=True, seed=seed, drop_last=True)  # type: ignore[arg-type]
        self.batch_size = batch_size
        self.trainer = trainer
        self.length = len(dataset) // (batch_size * num_replicas)
        if self.length == 0:
            raise ValueError(
                f"one training iteration takes {batch_size * num_replicas} images (n_critic x "
                f"batch_size x processes), but the data set has {len(dataset)}: lower batch_size"
            )

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Tensor]:
        start = 0
        if self.trainer is not None:
            progress = self.trainer.fit_loop.epoch_loop.batch_progress.total
            start = progress.processed  # type: ignore[attr-defined]
        epoch, order = -1, torch.empty(0)
        for number in range(start, start + self.length):
            if number // self.length != epoch:
                epoch = number // self.length
                order = self._permutation(epoch)
            first = (number % self.length) * self.batch_size * self.num_replicas
            block = order[first : first + self.batch_size * self.num_replicas]
            yield block[self.rank :: self.num_replicas]

    def _permutation(self, epoch: int) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed + epoch)
        return torch.randperm(len(self.dataset), generator=generator)  # type: ignore[arg-type]


class InOrderSampler(DistributedSampler[Any]):
    """Batches of indices in order, every image once, each rank taking each ``replicas``-th."""

    def __init__(self, dataset: Sized, batch_size: int, num_replicas: int, rank: int) -> None:
        super().__init__(dataset, num_replicas, rank, shuffle=False)  # type: ignore[arg-type]
        if len(dataset) < num_replicas:
            raise ValueError(f"{len(dataset)} images cannot be shared by {num_replicas} processes")
        self.batches = torch.arange(rank, len(dataset), num_replicas).split(batch_size)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.batches)
