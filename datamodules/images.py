"""Images as uint8, resized once; flipped, cropped and converted in batches, on the device."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from datamodules.augmentation import DRAWS, augment, centre_crop, to_float
from datamodules.base import ImageTensorDataset, InMemoryDataModule, Split
from datamodules.resizing import Resize, Size, as_pair, check_size, resized, scaled

__all__ = ["AugmentedDataModule", "ImageDataModule", "checked_images"]


def checked_images(
    source: str,
    images: Tensor,
    labels: Tensor,
    channels: int,
    size: Size,
    num_classes: int = 0,
    resize: Resize = "stretch",
) -> ImageTensorDataset:
    """What a data module loads, resized to ``(N, channels, *size)``.

    Args:
        source: where it comes from, for the message.
        images: to be uint8, shape ``(N, channels, H, W)``.
        labels: to be integers, shape ``(N,)``.
        channels: that the images must have.
        size: to which they are resized, bilinearly with antialiasing.
        num_classes: that the labels must be below; 0 for labels that are not looked at.
        resize: what becomes of images of another shape.

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
    return ImageTensorDataset(resized(images, size, resize).contiguous(), labels.long())


class AugmentedDataModule(InMemoryDataModule):
    """Base of the data modules of images: what becomes of a batch between loader and model.

    Images leave the loader as uint8. On the device, training images are cropped and flipped at
    random, each by draws that come with the batch and so are the same in a resumed run and on any
    number of processes; held-out images are cropped in the middle. Then they are float in [-1, 1].

    Args:
        image_size: side of the images that the model sees, or their height and width.
        flip: mirror half of the training images left to right.
        load_size: size to which images are resized before they are cropped to ``image_size``, of a
            rectangle the longer side will do; None for ``image_size`` and no crop.
        resize: what becomes of images of another shape: ``"crop"`` cuts off what is too much,
            ``"fit"`` puts black beside them, ``"stretch"`` distorts them. None for ``"crop"`` of
            files and ``"stretch"`` of what is in memory.
        **kwargs: options of :class:`InMemoryDataModule`.

    Raises:
        ValueError: if an option is out of its range.
    """

    channels: int
    resizes: Resize = "crop"
    """What ``resize`` is by default."""

    def __init__(
        self,
        *,
        image_size: Size,
        flip: bool = False,
        load_size: Size | None = None,
        resize: Resize | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_size("image_size", image_size)
        self.image_size = image_size
        self.flip = flip
        self.load_size = image_size
        self.resize: Resize = self.resizes if resize is None else resize
        if self.resize not in ("crop", "fit", "stretch"):
            raise ValueError(f"resize={resize!r} must be crop, fit or stretch")
        if load_size is not None:
            check_size("load_size", load_size)
            self.load_size = scaled(load_size, image_size)
        loaded, seen = as_pair(self.load_size), as_pair(image_size)
        if loaded[0] < seen[0] or loaded[1] < seen[1]:
            raise ValueError(f"load_size={load_size} must be at least image_size={image_size}")
        self._crops = loaded != seen
        self.draws = DRAWS if flip or self._crops else 0

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape ``(C, H, W)`` of one image."""
        return self.channels, *as_pair(self.image_size)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Crop and flip uint8 images and convert them to float in [-1, 1], on the device."""
        images, labels, *draws = batch
        return self.finish(images, *draws), labels

    def finish(self, images: Tensor, draws: Tensor | None = None) -> Tensor:
        """Images ``(N, C, H, W)``, float in [-1, 1], from those in memory, uint8.

        Args:
            images: of one batch, of ``load_size``.
            draws: of a training batch, shape ``(N, 3)``; None for held-out images.
        """
        if draws is not None:
            images = augment(images, draws, self.image_size, self.flip)
        elif self._crops:
            images = centre_crop(images, self.image_size)
        return to_float(images)


class ImageDataModule(AugmentedDataModule):
    """Base of the data sets that fit in memory: a subclass says how to :meth:`load` a split.

    Batches are ``(images, labels)``: float in [-1, 1] of shape ``(N, C, H, W)``, and integer
    classes. They leave the loader as uint8 and are converted on the device. A training batch holds
    ``n_critic x batch_size`` images, all that one iteration of the model takes.

    Args:
        **kwargs: options of :class:`AugmentedDataModule`.

    Raises:
        ValueError: if an option is out of its range.
    """

    resizes = "stretch"

    @abstractmethod
    def load(self, split: Split) -> tuple[Tensor, Tensor]:
        """All images of a split, uint8 ``(N, C, H, W)``, and their labels, ``(N,)``."""

    def make_split(self, split: Split) -> ImageTensorDataset:
        """What :meth:`load` gives, checked and resized."""
        source = f"{type(self).__name__}.load({split!r})"
        classes = getattr(self, "num_classes", 0)
        return checked_images(
            source, *self.load(split), self.channels, self.load_size, classes, self.resize
        )
