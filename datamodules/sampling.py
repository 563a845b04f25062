"""Orders of images: batches of indices that a resumed run and every rank can work out alone."""

from collections.abc import Iterator, Sized
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor
from torch.utils.data import DistributedSampler

from gan_modules.seeding import derive_seed

__all__ = ["DRAW_BITS", "InOrderSampler", "IterationSampler", "JoinedSampler"]

DRAW_BITS = 24
"""An image's draws are integers from 0 to below ``2**24``, uniforms in [0, 1) in fixed point,
which a trainer of low precision passes on as they are."""


class IterationSampler(DistributedSampler[Any]):
    """Batches of indices, each a function of (seed, number of the batch) and nothing else.

    Every permutation of the data has a seed of its own and is cut into batches, the rest left out.
    Iterating starts at the batch that the trainer has come to, so that a run resumed in the middle
    of an epoch sees what an uninterrupted one would have seen. Lightning replaces any sampler it
    does not know to be distributed; this one shards itself, every rank taking each
    ``num_replicas``-th index of a global batch.

    Args:
        dataset: only its length is used.
        batch_size: indices per batch and rank.
        seed: of the permutations and the draws.
        num_replicas: number of ranks.
        rank: of this process.
        trainer: whose progress decides where to start; None starts at the beginning.
        draws: random numbers per image. With some, batches are ``(indices, draws)``, the draws
            integers in [0, 2**24) of shape ``(N, draws)``, shared among ranks like the indices.
        length: images in an epoch, if more than the data set has; permutation then follows
            permutation within an epoch.

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
        draws: int = 0,
        length: int = 0,
    ) -> None:
        super().__init__(dataset, num_replicas, rank, shuffle=True, seed=seed, drop_last=True)  # type: ignore[arg-type]
        self.global_size = batch_size * num_replicas
        self.trainer = trainer
        self.draws = draws
        self.per_permutation = len(dataset) // self.global_size
        if self.per_permutation == 0:
            raise ValueError(
                f"one training iteration takes {self.global_size} images (n_critic x "
                f"batch_size x processes), but the data set has {len(dataset)}: lower batch_size"
            )
        self.length = max(length, len(dataset)) // self.global_size

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Any]:
        start = 0
        if self.trainer is not None:
            progress = self.trainer.fit_loop.epoch_loop.batch_progress.total
            start = progress.processed  # type: ignore[attr-defined]
        current, order = -1, torch.empty(0)
        for number in range(start, start + self.length):
            permutation, position = divmod(number, self.per_permutation)
            if permutation != current:
                current, order = permutation, self._permutation(permutation)
            indices = self._own(order[position * self.global_size :][: self.global_size])
            yield (indices, self._own(self._draw(number))) if self.draws else indices

    def _own(self, whole: Tensor) -> Tensor:
        """This rank's part of a global batch."""
        return whole[self.rank :: self.num_replicas]

    def _permutation(self, number: int) -> Tensor:
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "permutation", number))
        return torch.randperm(len(self.dataset), generator=generator)  # type: ignore[arg-type]

    def _draw(self, number: int) -> Tensor:
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "draws", number))
        shape = self.global_size, self.draws
        return torch.randint(2**DRAW_BITS, shape, generator=generator)


class InOrderSampler(DistributedSampler[Any]):
    """Batches of indices in order, every image once, each rank taking each ``replicas``-th.

    Args:
        dataset: only its length is used.
        batch_size: indices per batch.
        num_replicas: number of ranks.
        rank: of this process.
        length: indices to give, if more than the data set has; it is begun again.

    Raises:
        ValueError: if there are fewer images than ranks.
    """

    def __init__(
        self, dataset: Sized, batch_size: int, num_replicas: int, rank: int, length: int = 0
    ) -> None:
        super().__init__(dataset, num_replicas, rank, shuffle=False)  # type: ignore[arg-type]
        length = max(length, len(dataset))
        if length < num_replicas:
            raise ValueError(f"{length} images cannot be shared by {num_replicas} processes")
        indices = torch.arange(rank, length, num_replicas) % len(dataset)
        self.batches = indices.split(batch_size)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.batches)


class JoinedSampler(DistributedSampler[Any]):
    """The batches of two samplers of equal length side by side."""

    def __init__(self, a: DistributedSampler[Any], b: DistributedSampler[Any]) -> None:
        super().__init__(a.dataset, a.num_replicas, a.rank)
        self.a, self.b = a, b

    def __len__(self) -> int:
        return len(self.a)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return zip(self.a, self.b, strict=True)
