"""Data held in memory, shuffled in an order that a resumed run can re-enter."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from datamodules.sampling import InOrderSampler, IterationSampler

__all__ = ["ImageTensorDataset", "InMemoryDataModule", "Split", "require_at_least"]

Split = Literal["train", "val", "test"]


def require_at_least(name: str, value: int, least: int) -> None:
    """Raise a ``ValueError`` that names an option which is too small."""
    if value < least:
        raise ValueError(f"{name}={value} must be at least {least}")


class ImageTensorDataset(Dataset[tuple[Tensor, ...]]):
    """All images (or points) and labels of one split; indexed by a whole batch of indices at once.

    What a sampler draws for the images of a batch follows them: an item ``(indices, draws)`` gives
    ``(images, labels, draws)``.

    Args:
        images: uint8, shape ``(N, C, H, W)``; or points, float in [-1, 1], shape ``(N, D)``.
        labels: integer classes, shape ``(N,)``.
    """

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images = images
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, item: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        indices, *draws = (item,) if isinstance(item, Tensor) else item
        indices = indices.to(self.labels.device, non_blocking=True)
        return self.take(indices), self.labels.index_select(0, indices), *draws

    def take(self, indices: Tensor) -> Tensor:
        """The images at the given places."""
        # several times faster than images[indices], with the same outcome
        return self.images.index_select(0, indices)

    def to(self, device: torch.device) -> "ImageTensorDataset":
        """The same data set with images and labels in the memory of a device.

        A subclass with tensors of its own has them moved, too.
        """
        moved = copy(self)
        moved.images, moved.labels = self.images.to(device), self.labels.to(device)
        return moved


class _ResumableLoader(DataLoader[Any]):
    """A loader whose sampler finds its own place; these two methods tell Lightning so."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        pass


class InMemoryDataModule(LightningDataModule, ABC):
    """Base of all data sets here: a subclass says how to :meth:`make_split`.

    A training batch holds ``n_critic x batch_size`` images, all that one iteration of the model
    takes. Which ones is a function of the seed and the number of the iteration; with several
    processes each takes its share of the same global batch.

    Args:
        batch_size: images per update and process.
        num_workers: processes that index the images; 0 is fastest for images in memory.
        seed: of the order of the training images, and of their augmentation; None for the run's
            own, torch's seed when a fit begins, which ``seed_everything`` sets. A resumed run keeps
            the order that it began with.
        on_device: keep the training images in the memory of the device that trains, uint8 like
            here (points as floats), each process on its own: batches are then indexed there, and
            none is copied to it. One copy is made, and kept as long as this data module. On a CPU
            only images in files change, which are then read into memory.

    Raises:
        ValueError: if an option is out of its range.
    """

    num_classes: int
    classes: Sequence[str] = ()
    """Names of the classes, in their order; empty where they have none."""
    draws = 0
    """Random numbers that the training sampler draws per image."""

    def __init__(
        self,
        *,
        batch_size: int = 64,
        num_workers: int = 0,
        seed: int | None = None,
        on_device: bool = False,
    ) -> None:
        super().__init__()
        require_at_least("batch_size", batch_size, 1)
        require_at_least("num_workers", num_workers, 0)
        if seed is not None:
            require_at_least("seed", seed, 0)
        if on_device and num_workers:
            raise ValueError(
                f"num_workers={num_workers} must be 0 with on_device=True: images that lie on the "
                "device are indexed there, not by other processes"
            )
        # the loggers' hyper-parameters are the model's: one key with two values is an error
        self.save_hyperparameters(logger=False)
        # they go into checkpoints, which hold plain values only
        for name, value in self.hparams.items():
            if isinstance(value, Path):
                self.hparams[name] = str(value)
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self._run_seed: int | None = None
        self.on_device = on_device
        self.splits: dict[Split, Any] = {}
        self._moved: tuple[Any, torch.device, Any] | None = None

    @property
    @abstractmethod
    def image_shape(self) -> tuple[int, ...]:
        """Shape of one image as the model sees it."""

    @abstractmethod
    def make_split(self, split: Split) -> Dataset[Any]:
        """The data set of a split, made once when a stage needs it."""

    def setup(self, stage: str | None = None) -> None:
        """Make the splits that a stage needs, once; note the seed of a run that begins."""
        needed: dict[str | None, tuple[Split, ...]] = {
            "fit": ("train", "val"),
            "validate": ("val",),
            "test": ("test",),
            "predict": (),
            None: ("train", "val", "test"),
        }
        for split in needed[stage]:
            if split not in self.splits:
                self.splits[split] = self.make_split(split)
        # not when the loader is made: a validation before it may have seeded torch
        if stage == "fit" and (self.trainer is None or self.trainer.global_step == 0):
            self._run_seed = self._seed_of_all_ranks()

    @property
    def order_seed(self) -> int:
        """``seed``, or the run's where that is None."""
        if self.seed is not None:
            return self.seed
        if self._run_seed is None:
            self._run_seed = self._seed_of_all_ranks()
        return self._run_seed

    def _seed_of_all_ranks(self) -> int:
        seed = torch.initial_seed()
        return seed if self.trainer is None else self.trainer.strategy.broadcast(seed)

    def state_dict(self) -> dict[str, Any]:
        """The seed of the order, with which a resumed run goes on."""
        return {"seed": self.order_seed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on in the checkpoint's order, unless ``seed`` says which."""
        self._run_seed = state_dict.get("seed", self._run_seed)

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled batches of ``n_critic x batch_size`` images."""
        dataset = self.splits["train"]
        sampler = self.training_sampler(dataset)
        if self.on_device and self.trainer is not None:
            # what lies on a device cannot be pinned
            moved = self._move(dataset, self.trainer.strategy.root_device)
            return self._loader(moved, sampler, pin=False)
        return self._loader(dataset, sampler)

    def __getstate__(self) -> dict[str, Any]:
        # a copy of this module makes a copy of the images when it needs one
        return {**vars(self), "_moved": None}

    def _move(self, dataset: Any, device: torch.device) -> Any:
        """The data set in the memory of a device, moved there once."""
        if self._moved is None or self._moved[0] is not dataset or self._moved[1] != device:
            if not hasattr(dataset, "to"):
                raise ValueError(
                    f"on_device=True needs a data set with a method to(device), which "
                    f"{type(dataset).__name__} has not: set on_device to false, or write one"
                )
            self._moved = None  # an earlier copy goes first
            self._moved = dataset, device, dataset.to(device)
        return self._moved[2]

    def val_dataloader(self) -> DataLoader[Any]:
        """The validation split in order."""
        dataset = self.splits["val"]
        return self._loader(dataset, self.evaluation_sampler(dataset))

    def test_dataloader(self) -> DataLoader[Any]:
        """The test split in order."""
        dataset = self.splits["test"]
        return self._loader(dataset, self.evaluation_sampler(dataset))

    def reference_dataloader(self, split: Split) -> DataLoader[Any]:
        """Every image of a split once, in order and not augmented, for metrics of generated ones.

        The split is made if no stage has needed it. With several processes each gets its share:
        image ``rank + i x processes`` is its i-th.
        """
        if split not in self.splits:
            self.splits[split] = self.make_split(split)
        dataset = self.splits[split]
        return self._loader(dataset, self.reference_sampler(dataset))

    def training_sampler(self, dataset: Any) -> DistributedSampler[Any]:
        """What :meth:`train_dataloader` takes from the data set, batch by batch."""
        return self._shuffled(dataset, self.order_seed)

    def evaluation_sampler(self, dataset: Any) -> DistributedSampler[Any]:
        """What the other loaders take from their data sets."""
        return self._in_order(dataset)

    def reference_sampler(self, dataset: Any) -> DistributedSampler[Any]:
        """What :meth:`reference_dataloader` takes from the data set."""
        return self._in_order(dataset)

    def _shuffled(self, dataset: Any, seed: int, length: int = 0) -> IterationSampler:
        trainer = self.trainer
        n_critic = getattr(trainer.lightning_module, "n_critic", 1) if trainer else 1
        size = n_critic * self.batch_size
        return IterationSampler(dataset, size, seed, *self._ranks(), trainer, self.draws, length)

    def _in_order(self, dataset: Any, length: int = 0) -> InOrderSampler:
        return InOrderSampler(dataset, self.batch_size, *self._ranks(), length)

    def _ranks(self) -> tuple[int, int]:
        """Number of processes and the number of this one."""
        trainer = self.trainer
        return (1, 0) if trainer is None else (trainer.world_size, trainer.global_rank)

    def _loader(
        self, dataset: Dataset[Any], sampler: DistributedSampler[Any], pin: bool = True
    ) -> DataLoader[Any]:
        if getattr(self.trainer, "overfit_batches", False):
            raise ValueError(
                "overfit_batches replaces the order of the images: use limit_train_batches"
            )
        # without a batch size the loader passes each item of the sampler, a whole batch of indices
        return _ResumableLoader(
            dataset,
            batch_size=None,
            sampler=sampler,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=pin and torch.cuda.is_available(),
        )
