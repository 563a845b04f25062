"""Images held in memory as uint8, shuffled in an order that a resumed run can re-enter."""

from abc import ABC, abstractmethod
from typing import Any, Literal

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.v2 import functional as F

from datamodules.sampling import InOrderSampler, IterationSampler

__all__ = ["ImageDataModule", "ImageTensorDataset", "Split"]

Split = Literal["train", "val", "test"]


class ImageTensorDataset(Dataset[tuple[Tensor, Tensor]]):
    """All images and labels of one split; indexed by a whole batch of indices at once.

    Args:
        images: uint8, shape ``(N, C, H, W)``.
        labels: integer classes, shape ``(N,)``.
    """

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images = images
        self.labels = labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        return self.images[indices], self.labels[indices]


class _ResumableLoader(DataLoader[Any]):
    """A loader whose sampler finds its own place; these two methods tell Lightning so."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        pass


class ImageDataModule(LightningDataModule, ABC):
    """Base of the data sets that fit in memory: a subclass says how to :meth:`load` a split.

    Batches are ``(images, labels)``: float in [-1, 1] of shape ``(N, C, S, S)``, and integer
    classes. They leave the loader as uint8 and are converted on the device. A training batch holds
    ``n_critic x batch_size`` images, all that one iteration of the model takes.

    Args:
        image_size: side S of the images, to which they are resized.
        batch_size: images per update and process.
        num_workers: processes that index the images; 0 is fastest for images in memory.
        seed: of the order of the training images.

    Raises:
        ValueError: if an option is out of its range.
    """

    channels: int
    num_classes: int

    def __init__(
        self, *, image_size: int, batch_size: int = 64, num_workers: int = 0, seed: int = 0
    ) -> None:
        super().__init__()
        for name, value, least in (
            ("image_size", image_size, 1),
            ("batch_size", batch_size, 1),
            ("num_workers", num_workers, 0),
        ):
            if value < least:
                raise ValueError(f"{name}={value} must be at least {least}")
        # the loggers' hyper-parameters are the model's: one key with two values is an error
        self.save_hyperparameters(logger=False)
        self.image_size = image_size
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.splits: dict[Split, ImageTensorDataset] = {}

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape ``(C, S, S)`` of one image."""
        return self.channels, self.image_size, self.image_size

    @abstractmethod
    def load(self, split: Split) -> tuple[Tensor, Tensor]:
        """All images of a split, uint8 ``(N, C, H, W)``, and their labels, ``(N,)``."""

    def setup(self, stage: str | None = None) -> None:
        """Load and resize the splits that a stage needs, once."""
        needed: dict[str | None, tuple[Split, ...]] = {
            "fit": ("train", "val"),
            "validate": ("val",),
            "test": ("test",),
            "predict": (),
            None: ("train", "val", "test"),
        }
        for split in needed[stage]:
            if split not in self.splits:
                images, labels = self.load(split)
                self._check(split, images, labels)
                size = [self.image_size, self.image_size]
                images = F.resize(images, size, antialias=True).contiguous()
                self.splits[split] = ImageTensorDataset(images, labels.long())

    def _check(self, split: Split, images: Tensor, labels: Tensor) -> None:
        shape = tuple(images.shape)
        if images.dtype != torch.uint8 or len(shape) != 4 or shape[1] != self.channels:
            raise ValueError(
                f"{type(self).__name__}.load({split!r}) gives {images.dtype} images of shape "
                f"{shape}: they must be torch.uint8 of shape (N, {self.channels}, H, W)"
            )
        if labels.shape != (len(images),):
            raise ValueError(
                f"{type(self).__name__}.load({split!r}) gives labels of shape "
                f"{tuple(labels.shape)} for {len(images)} images"
            )

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled batches of ``n_critic x batch_size`` images."""
        trainer = self.trainer
        n_critic = getattr(trainer.lightning_module, "n_critic", 1) if trainer else 1
        dataset = self.splits["train"]
        sampler = IterationSampler(
            dataset, n_critic * self.batch_size, self.seed, *self._ranks(), trainer
        )
        return self._loader(dataset, sampler)

    def val_dataloader(self) -> DataLoader[Any]:
        """The validation split in order."""
        return self._in_order("val")

    def test_dataloader(self) -> DataLoader[Any]:
        """The test split in order."""
        return self._in_order("test")

    def _in_order(self, split: Split) -> DataLoader[Any]:
        dataset = self.splits[split]
        return self._loader(dataset, InOrderSampler(dataset, self.batch_size, *self._ranks()))

    def _ranks(self) -> tuple[int, int]:
        """Number of processes and the number of this one."""
        trainer = self.trainer
        return (1, 0) if trainer is None else (trainer.world_size, trainer.global_rank)

    def _loader(self, dataset: ImageTensorDataset, sampler: Any) -> DataLoader[Any]:
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
            pin_memory=torch.cuda.is_available(),
        )

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Convert uint8 images to float in [-1, 1], on the device."""
        images, labels = batch
        return images.float().div_(127.5).sub_(1.0), labels
