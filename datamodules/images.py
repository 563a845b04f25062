"""Images as uint8, resized once; flipped, cropped and converted in batches, on the device."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from datamodules.augmentation import DRAWS, augment, centre_crop, to_float
from datamodules.base import ImageTensorDataset, InMemoryDataModule, Split, require_at_least

__all__ = ["AugmentedDataModule", "ImageDataModule", "checked_images"]


def checked_images(
    source: str, images: Tensor, labels: Tensor, channels: int, size: int, num_classes: int = 0
) -> ImageTensorDataset:
    """What a data module loads, resized to ``(N, channels, size, size)``.

    Args:
        source: where it comes from, for the message.
        images: to be uint8, shape ``(N, channels, H, W)``.
        labels: to be integers, shape ``(N,)``.
        channels: that the images must have.
        size: side to which they are resized, bilinearly with antialiasing.
        num_classes: that the labels must be below; 0 for labels that are not looked at.

    Raises:
        ValueError: if type or shape is another, or a label outside the classes.
    """
    shape = tuple(images.shape)
    if images.dtype != torch.uint8 or len(shape) != 4 or shape[1] != channels:
        raise ValueError(
            f"{source} gives {images.dtype} images of shape "
            f"{shape}: they must be torch.uint8 of shape (N, {channels}, H, W)"
        )
    if labels.shape != (len(images),):
        raise ValueError(
            f"{source} gives labels of shape {tuple(labels.shape)} for {len(images)} images"
        )
    if num_classes and len(labels):
        low, high = labels.min().item(), labels.max().item()
        if labels.is_floating_point() or not 0 <= low <= high < num_classes:
            raise ValueError(
                f"{source} gives {labels.dtype} labels from {low:g} to {high:g}: with "
                f"num_classes={num_classes} they must be integers from 0 to {num_classes - 1}"
            )
    images = F.resize(images, [size, size], antialias=True).contiguous()
    return ImageTensorDataset(images, labels.long())


class AugmentedDataModule(InMemoryDataModule):
    """Base of the data modules of images: what becomes of a batch between loader and model.

    Images leave the loader as uint8. On the device, training images are cropped and flipped at
    random, each by draws that come with the batch and so are the same in a resumed run and on any
    number of processes; held-out images are cropped in the middle. Then they are float in [-1, 1].

    Args:
        image_size: side S of the images that the model sees.
        flip: mirror half of the training images left to right.
        load_size: side to which images are resized before they are cropped to ``image_size``; None
            for ``image_size`` and no crop.
        **kwargs: options of :class:`InMemoryDataModule`.

    Raises:
        ValueError: if an option is out of its range.
    """

    channels: int

    def __init__(
        self, *, image_size: int, flip: bool = False, load_size: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        require_at_least("image_size", image_size, 1)
        if load_size is not None and load_size < image_size:
            raise ValueError(f"load_size={load_size} must be at least image_size={image_size}")
        self.image_size = image_size
        self.flip = flip
        self.load_size = image_size if load_size is None else load_size
        self.draws = DRAWS if flip or self.load_size > image_size else 0

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape ``(C, S, S)`` of one image."""
        return self.channels, self.image_size, self.image_size

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Crop and flip uint8 images and convert them to float in [-1, 1], on the device."""
        images, labels, *draws = batch
        return self.finish(images, *draws), labels

    def finish(self, images: Tensor, draws: Tensor | None = None) -> Tensor:
        """Images ``(N, C, S, S)``, float in [-1, 1], from those in memory, uint8 ``(N, C, L, L)``.

        Args:
            images: of one batch.
            draws: of a training batch, shape ``(N, 3)``; None for held-out images.
        """
        if draws is not None:
            images = augment(images, draws, self.image_size, self.flip)
        elif self.load_size > self.image_size:
            images = centre_crop(images, self.image_size)
        return to_float(images)


class ImageDataModule(AugmentedDataModule):
    """Base of the data sets that fit in memory: a subclass says how to :meth:`load` a split.

    Batches are ``(images, labels)``: float in [-1, 1] of shape ``(N, C, S, S)``, and integer
    classes. They leave the loader as uint8 and are converted on the device. A training batch holds
    ``n_critic x batch_size`` images, all that one iteration of the model takes.

    Args:
        **kwargs: options of :class:`AugmentedDataModule`.

    Raises:
        ValueError: if an option is out of its range.
    """

    @abstractmethod
    def load(self, split: Split) -> tuple[Tensor, Tensor]:
        """All images of a split, uint8 ``(N, C, H, W)``, and their labels, ``(N,)``."""

    def make_split(self, split: Split) -> ImageTensorDataset:
        """What :meth:`load` gives, checked and resized."""
        source = f"{type(self).__name__}.load({split!r})"
        classes = getattr(self, "num_classes", 0)
        return checked_images(source, *self.load(split), self.channels, self.load_size, classes)
